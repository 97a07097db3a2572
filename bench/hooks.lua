-- For wrk: one signed hook, again and again, each time with an idempotency
-- key of its own (a header, which is not signed): so each is a new row.
--
--	wrk -t1 ... -s hooks.lua URL -- REQUEST RUN
--
-- REQUEST is a file with a whole request in which @KEY@ stands for the key;
-- RUN is eight hex digits that no other run has.
local before, after, run
local n = 0

function init(args)
	local file = assert(io.open(args[1], "rb"))
	local text = file:read("*a")
	file:close()
	local at = assert(text:find("@KEY@", 1, true))
	before, after = text:sub(1, at - 1), text:sub(at + 5)
	run = args[2]
	math.randomseed(tonumber(run, 16))
end

-- Random in front, like a UUID: keys in order would flatter the indexes.
-- Unique behind.
function request()
	n = n + 1
	return before .. string.format("%08x%08x%s%08x",
	    math.random(0, 0x7fffffff), math.random(0, 0x7fffffff), run, n) ..
	    after
end

-- "answers" are those that came; "refused" of them had a status above 399.
function done(summary, latency)
	local e = summary.errors
	io.write(string.format("figures answers=%d refused=%d broken=%d " ..
	    "seconds=%f p50_ms=%f p99_ms=%f max_ms=%f\n", summary.requests,
	    e.status, e.connect + e.read + e.write + e.timeout,
	    summary.duration / 1e6, latency:percentile(50) / 1e3,
	    latency:percentile(99) / 1e3, latency.max / 1e3))
end
