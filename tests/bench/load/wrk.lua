-- Sends the requests of a file (args[1]); where args[2] is given, each with a new path that begins with it.
local requests, count, at = {}, 0, 0
local before, after, prefix = {}, {}, nil

function init(args)
   local file = assert(io.open(args[1], "rb"))
   local text = file:read("*a")
   file:close()
   prefix = args[2]
   for one in text:gmatch("(.-\r\n\r\n)") do
      count = count + 1
      requests[count] = one
      before[count], after[count] = one:match("^([^@]*)@(.*)$")
   end
   assert(count > 0, "no requests in " .. args[1])
   if prefix then request = new_path else request = next_one end
end

function next_one()
   at = at + 1
   if at > count then at = 1 end
   return requests[at]
end

function new_path()
   at = at + 1
   local visitor = at % count + 1
   return before[visitor] .. prefix .. string.format("%07d", at) .. after[visitor]
end

request = next_one

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      'WRK {"requests": %d, "seconds": %.6f, "bytes": %d, "connect": %d, "read": %d, "write": %d, ' ..
      '"status": %d, "timeout": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
      summary.requests, summary.duration / 1e6, summary.bytes, e.connect, e.read, e.write,
      e.status, e.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
