# Resident memory by hooks received; base is set by the caller.
set datafile separator ","
set terminal svg size 800,450 dynamic font "sans,13" background "white"
set output base.".svg"
set title "resident memory of the worker, MiB"
set xlabel "hooks"
set yrange [0:*]
set grid
unset key
plot base.".csv" every ::1 using 1:3 with linespoints pt 7 ps 0.4 lw 2
