# Files and memory in the long run; base is set by the caller.
set datafile separator ","
set terminal svg size 900,700 dynamic font "sans,13" background "white"
set output base.".svg"
set multiplot layout 2,1
set grid
set yrange [0:*]
set key left bottom
file = base.".csv"
set title "files, MiB"
plot file every ::1 using 1:2 with lines lw 2 title "database", \
    file every ::1 using 1:3 with lines lw 2 title "WAL"
set title "resident memory, MiB"
set xlabel "seconds"
plot file every ::1 using 1:4 with lines lw 2 title "sentry-webhooks", \
    file every ::1 using 1:5 with lines lw 2 title "sentry-deliver"
unset multiplot
