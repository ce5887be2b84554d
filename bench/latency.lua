-- Measures one request at a time, in turns on two servers, with a blocking socket and a monotonic clock.
-- luajit latency.lua FLOOR_PORT OURS_PORT FILE (answer | first) ROUNDS REQUESTS
-- The file: header lines, an empty line, the body. "answer": until the last byte; "first": until the first
-- byte of the body. For each round, one line of JSON: percentiles in nanoseconds for both servers.
-- Within a round the two take turns in blocks of fifty, so that a slow moment of the machine meets both.

local ffi = require("ffi")
local bit = require("bit")

ffi.cdef [[
  struct address { uint16_t family; uint16_t port; uint32_t host; uint8_t zero[8]; };
  struct instant { long seconds; long nanoseconds; };
  int socket(int domain, int type, int protocol);
  int connect(int fd, const struct address *address, unsigned int length);
  int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
  long send(int fd, const void *data, unsigned long length, int flags);
  long recv(int fd, void *data, unsigned long length, int flags);
  int close(int fd);
  int clock_gettime(int clock, struct instant *instant);
]]

local C = ffi.C
local BLOCK = 50
local CAPACITY = 65536
local buffer = ffi.new("uint8_t[?]", CAPACITY)
local instant = ffi.new("struct instant")

local function now()
  C.clock_gettime(1, instant)
  return tonumber(instant.seconds) * 1e9 + tonumber(instant.nanoseconds)
end

local function open(port)
  local fd = C.socket(2, 1, 0)
  local address = ffi.new("struct address")
  address.family = 2
  address.port = bit.bor(bit.lshift(bit.band(port, 255), 8), bit.rshift(port, 8))
  address.host = 0x0100007f
  assert(C.connect(fd, address, 16) == 0, "no connection")
  local one = ffi.new("int[1]", 1)
  C.setsockopt(fd, 6, 1, one, 4)
  return fd
end

local function request_to(port, path_of_file)
  local file = assert(io.open(path_of_file, "rb"))
  local head, body = file:read("*a"):match("^(.-)\n\n(.*)$")
  file:close()
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:" .. port .. "\r\n"
    .. head:gsub("\n", "\r\n") .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

--- Sends one request and reads the whole answer; returns when it began, when its body began, when it ended.
local function exchange(server)
  local request = server.request
  local began = now()
  assert(C.send(server.fd, request, #request, 0) == #request, "the request was not sent whole")
  local length, body_at, body_began, ends_at = 0, nil, nil, nil
  while true do
    local count = tonumber(C.recv(server.fd, buffer + length, CAPACITY - length, 0))
    assert(count > 0, "the connection closed within an answer")
    length = length + count
    if not body_at then
      local text = ffi.string(buffer, length)
      local _, head_end = text:find("\r\n\r\n", 1, true)
      if head_end then
        assert(text:sub(10, 12) == "200", text)
        body_at = head_end
        local content_length = text:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")
        if content_length then
          ends_at = body_at + tonumber(content_length)
        end
      end
    end
    if body_at and length > body_at then
      body_began = body_began or now()
      if ends_at then
        if length >= ends_at then
          return began, body_began, now()
        end
      elseif length >= body_at + 5 and ffi.string(buffer + length - 5, 5) == "0\r\n\r\n" then
        return began, body_began, now()
      end
    end
  end
end

local floor_port, ours_port, path_of_file, what, rounds, requests = unpack(arg, 1, 6)
local servers = {
  {fd = open(tonumber(floor_port)), request = request_to(floor_port, path_of_file), times = {}},
  {fd = open(tonumber(ours_port)), request = request_to(ours_port, path_of_file), times = {}},
}
rounds, requests = tonumber(rounds), tonumber(requests)

for round = 0, rounds do -- round 0 warms both up and is not printed
  for _, server in ipairs(servers) do
    server.times = {}
  end
  for _ = 1, requests / BLOCK do
    for _, server in ipairs(servers) do
      for _ = 1, BLOCK do
        local began, body_began, ended = exchange(server)
        server.times[#server.times + 1] = (what == "first" and body_began or ended) - began
      end
    end
  end
  if round > 0 then
    local values = {}
    for number, server in ipairs(servers) do
      local times = server.times
      table.sort(times)
      values[number * 2 - 1] = times[math.ceil(#times * 0.5)]
      values[number * 2] = times[math.ceil(#times * 0.99)]
    end
    io.write(string.format('{"floor_p50":%d,"floor_p99":%d,"ours_p50":%d,"ours_p99":%d}\n', unpack(values)))
  end
end
