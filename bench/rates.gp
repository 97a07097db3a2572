# Rates and latencies by clients, for each hook; base is set by the caller.
set datafile separator ","
set datafile missing NaN
set terminal svg size 1200,700 dynamic font "sans,13" background "white"
set output base.".svg"
file = base.".csv"
hooks = "issue-2k alert-20k error-200k"
targets = "worker sample durable floor adnanh empty"
labels = "sentry-webhooks 'as the sample' Node.js floor adnanh empty"
there(hook) = int(system("grep -c '^".hook.",' '".file."'"))
panels = 0
do for [hook in hooks] { panels = panels + (there(hook) > 0) }
set multiplot layout 2,panels
set logscale x 2
set xtics (1, 16, 64, 256)
set xrange [0.7:360]
set grid
set key top left samplen 1 maxrows 3 width -3 font ",10"
pick(hook, i, column) = strcol(1) eq hook && \
    strcol(3) eq word(targets, i) ? column : NaN
n = words(targets)
set logscale y
do for [hook in hooks] {
	if (there(hook) == 0) { continue }
	set title hook.": hooks/s"
	plot for [i=1:n] file using 2:(pick(hook, i, $4)):5:6 \
	    with yerrorbars lc i pt 7 ps 0.5 notitle, \
	    for [i=1:n] file using 2:(pick(hook, i, $4)) \
	    with lines lc i lw 2 notitle
}
# Room for the key.
set yrange [0.05:200000]
do for [hook in hooks] {
	if (there(hook) == 0) { continue }
	set title hook.": ms (median; dashed p99)"
	set xlabel "clients"
	plot for [i=1:n] file using 2:(pick(hook, i, $7)) \
	    with linespoints lc i lw 2 pt 7 ps 0.5 title word(labels, i), \
	    for [i=1:n] file using 2:(pick(hook, i, $8)) \
	    with linespoints lc i lw 1 dt 2 pt 7 ps 0.5 notitle
}
unset multiplot
