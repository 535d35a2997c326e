-- Sends the requests of a file at a fixed rate, whether earlier ones are answered or not, and reports as wrk.lua does.
-- luajit open_loop.lua PORT FILE RATE SECONDS CONNECTIONS
-- A request that finds every connection busy waits; its latency counts from when it was due, not from when it was sent.
local ffi = require("ffi")
local bit = require("bit")

ffi.cdef [[
struct timespec { long seconds; long nanoseconds; };
int clock_gettime(int clock, struct timespec *now);
struct sockaddr_in { uint16_t family; uint16_t port; uint32_t address; uint8_t zero[8]; };
int socket(int domain, int type, int protocol);
int connect(int fd, const struct sockaddr_in *address, unsigned int length);
int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
int fcntl(int fd, int command, ...);
long send(int fd, const void *data, size_t length, int flags);
long recv(int fd, void *data, size_t length, int flags);
struct __attribute__((packed)) epoll_event { uint32_t events; uint64_t data; };
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
]]

local C = ffi.C
local port, path, rate = tonumber(arg[1]), arg[2], tonumber(arg[3])
local seconds, connections = tonumber(arg[4]), tonumber(arg[5])
local LONGEST = 1000000 -- microseconds; what takes longer counts as this long
local EAGAIN, GIVE_UP = 11, 5
local WARM_UP = 10 -- requests for each connection

local time = ffi.new("struct timespec")
local function now()
   C.clock_gettime(1, time)
   return tonumber(time.seconds) + tonumber(time.nanoseconds) * 1e-9
end

local requests, lengths, count = {}, {}, 0
local file = assert(io.open(path, "rb"))
for one in file:read("*a"):gmatch("(.-\r\n\r\n)") do
   requests[count], lengths[count] = one, #one
   count = count + 1
end
file:close()
assert(count > 0, "no requests in " .. path)

local epoll = C.epoll_create1(0)
local failed = {connect = 0, read = 0, write = 0, status = 0, timeout = 0}
local due_of, missing = {}, {} -- by fd; what is missing of an answer is -1 until its head is there
local idle, first_idle, last_idle = {}, 0, 0
local idle_since = {}
local function is_idle(fd, at)
   idle_since[fd] = at
   idle[last_idle % connections] = fd
   last_idle = last_idle + 1
end

local address = ffi.new("struct sockaddr_in", {family = 2, address = 0x0100007f})
address.port = bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
local one = ffi.new("int[1]", 1)
for _ = 1, connections do
   local fd = C.socket(2, 1, 0)
   if C.connect(fd, address, ffi.sizeof(address)) ~= 0 then error("no connection to port " .. port) end
   C.setsockopt(fd, 6, 1, one, 4) -- TCP_NODELAY
   C.fcntl(fd, 4, ffi.cast("int", 2048)) -- O_NONBLOCK
   local event = ffi.new("struct epoll_event", {events = 1, data = fd})
   assert(C.epoll_ctl(epoll, 1, fd, event) == 0)
   is_idle(fd, 0)
end

local function new_histogram() return ffi.new("uint32_t[?]", LONGEST + 1) end
local function add(histogram, seconds)
   local micros = math.min(seconds * 1e6, LONGEST)
   histogram[micros] = histogram[micros] + 1
end

local latencies, delays = new_histogram(), new_histogram()
local answered, received = 0, 0
local buffer, room = ffi.new("char[65536]"), 65536

local function answer_is_whole(fd)
   local at = now()
   add(latencies, at - due_of[fd])
   answered = answered + 1
   is_idle(fd, at)
end

-- One read is enough: what is left is told again, as epoll is level-triggered.
local function read(fd)
   local got = tonumber(C.recv(fd, buffer, room, 0))
   if got <= 0 then
      if got == 0 or ffi.errno() ~= EAGAIN then error("connection lost") end
      return
   end
   received = received + got
   if missing[fd] < 0 then
      local text = ffi.string(buffer, math.min(got, 4096))
      local _, head = text:find("\r\n\r\n", 1, true)
      if not head then error("the head of an answer came in parts") end
      if text:sub(10, 12) ~= "200" then failed.status = failed.status + 1 end
      missing[fd] = head + tonumber(text:match("\r\n[Cc]ontent%-[Ll]ength: *(%d+)"))
   end
   missing[fd] = missing[fd] - got
   if missing[fd] == 0 then answer_is_whole(fd) end
end

local sent, interval = 0, 1 / rate
local function send_what_is_due(started, at, total)
   while first_idle < last_idle and sent < total do
      local due = started + sent * interval
      if due > at then return end
      local fd = idle[first_idle % connections]
      first_idle = first_idle + 1
      due_of[fd], missing[fd] = due, -1
      local which = sent % count
      if tonumber(C.send(fd, requests[which], lengths[which], 0)) ~= lengths[which] then error("could not send") end
      -- How late this generator itself is: the request was due, and a connection was free.
      add(delays, now() - math.max(due, idle_since[fd]))
      sent = sent + 1
   end
end

local events = ffi.new("struct epoll_event[?]", connections)
local started, at
local function send_all(total, give_up)
   sent, answered, received = 0, 0, 0
   started = now()
   at = started
   while answered < total do
      send_what_is_due(started, at, total)
      -- It never sleeps: a generator that wakes up late would be measured.
      local ready = C.epoll_wait(epoll, events, connections, 0)
      for index = 0, ready - 1 do read(tonumber(events[index].data)) end
      at = now()
      if at > started + give_up then
         failed.timeout = total - answered
         break
      end
   end
end

-- Connections are made once and used for a long time: each has had some answers before anything is measured.
send_all(WARM_UP * connections, GIVE_UP)
latencies, delays = new_histogram(), new_histogram()
local total = math.floor(rate * seconds)
send_all(total, seconds + GIVE_UP)

local function percentile(histogram, count, part)
   local wanted, seen = math.ceil(count * part), 0
   for micros = 0, LONGEST do
      seen = seen + histogram[micros]
      if seen >= wanted then return micros / 1e3 end
   end
   return 0
end

io.write(string.format(
   'WRK {"requests": %d, "seconds": %.6f, "bytes": %d, "connect": 0, "read": 0, "write": 0, ' ..
   '"status": %d, "timeout": %d, "p50_ms": %.3f, "p99_ms": %.3f, "delay_ms": %.3f}\n',
   answered, at - started, received, failed.status, failed.timeout,
   percentile(latencies, answered, 0.50), percentile(latencies, answered, 0.99), percentile(delays, sent, 0.99)))
