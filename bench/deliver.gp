# Drain rates by sink, and the time of an idle pass by rows; base is set by
# the caller.
set datafile separator ","
set terminal svg size 1000,450 dynamic font "sans,13" background "white"
set output base.".svg"
set multiplot layout 1,2
set grid y
unset key
sinks = "stdout http nats"
set title "rows/s delivered, each round"
set logscale y
set xrange [-0.6:2.6]
set xtics ("stdout" 0, "HTTP" 1, "JetStream" 2)
plot for [i=1:3] base."-rate.csv" every ::1 using \
    (strcol(1) eq word(sinks, i) ? i - 1 : NaN):5 with points pt 7 lc i
unset logscale y
set title "ms for a pass with nothing due, by delivered rows"
set xtics auto
set format x "%.0s%c"
set xrange [*:*]
set yrange [0:*]
plot base."-pass.csv" every ::1 using 1:($3*1000) with points pt 7 lc 2
unset multiplot
