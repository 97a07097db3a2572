# The rate with what is in the database already; base is set by the caller.
set datafile separator ","
set terminal svg size 800,450 dynamic font "sans,13" background "white"
set output base.".svg"
set title "2 KiB hooks/s, 64 clients (median, min-max)"
set style fill solid 0.5
set boxwidth 0.5
set yrange [0:*]
set xrange [-0.6:*]
set grid y
unset key
file = base.".csv"
plot file every ::1 using 0:4:xtic(3) with boxes lc 2, \
    file every ::1 using 0:4:5:6 with yerrorbars lc "black"
