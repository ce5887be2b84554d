--- Writes an answer's bytes at the pace and in the pieces that were asked for, and breaks off where it shall.

local ffi = require "ffi"
local base = require "resty.core.base"
local recorder = require "mock.recorder"

ffi.cdef [[
typedef struct { void *data; void *read; void *write; int fd; } mock_connection_t;
typedef struct { uint32_t signature; mock_connection_t *connection; } mock_request_t;
struct mock_linger { int on; int seconds; };
int setsockopt(int fd, int level, int name, const void *value, unsigned int length);
]]

local SOL_SOCKET, SO_LINGER = 1, 13
-- A stalled answer ends by itself after this long, should nobody close it.
local LONGEST_SILENCE = 120

local writer = {}

-- Lua has no way to reset a connection: the socket is found at the head of nginx's request structure.
local function reset_on_close()
  local request = ffi.cast("mock_request_t *", base.get_request())
  local linger = ffi.new("struct mock_linger", 1, 0)
  ffi.C.setsockopt(request.connection.fd, SOL_SOCKET, SO_LINGER, linger, ffi.sizeof(linger))
end

--- Ends the connection at once, without the rest of the answer: `close` politely, `reset` with a TCP reset.
function writer.die(how, sequence)
  recorder.ended(sequence, "died")
  if how == "reset" then reset_on_close() end
  if ngx.headers_sent then return ngx.exit(ngx.ERROR) end
  return ngx.exit(444)
end

--- Says something that isn't HTTP.
function writer.garbage_header(sequence)
  local socket = ngx.req.socket(true)
  socket:send("\0\1\2 this is not HTTP\r\n\r\n")
  recorder.ended(sequence, "died")
  return ngx.exit(ngx.ERROR)
end

--- Says the answer's header a byte at a time, with `gap` milliseconds between, and then its body.
function writer.drip(body, content_type, gap, sequence)
  local socket = ngx.req.socket(true)
  local head = "HTTP/1.1 200 OK\r\nContent-Type: " .. content_type .. "\r\nContent-Length: " .. #body
    .. "\r\nConnection: close\r\n\r\n"
  for byte in head:gmatch(".") do
    if not socket:send(byte) then
      recorder.ended(sequence, "aborted")
      return ngx.exit(ngx.ERROR)
    end
    ngx.sleep(gap / 1000)
  end
  socket:send(body)
  recorder.ended(sequence, "finished")
  return ngx.exit(ngx.ERROR)
end

--- Says nothing more until the peer leaves.
function writer.stall(sequence)
  ngx.sleep(LONGEST_SILENCE)
  return writer.die("close", sequence)
end

local function put(state, bytes)
  if state.gzip then
    local size = #bytes
    state.plain[#state.plain + 1] = bytes
    bytes = string.char(0, size % 256, math.floor(size / 256), 255 - size % 256,
      255 - math.floor(size / 256)) .. bytes
  end
  ngx.print(bytes)
  local flushed = ngx.flush(true)
  if not flushed then
    recorder.ended(state.sequence, "aborted")
    return ngx.exit(499)
  end
end

local function pause(state)
  local gap = state.gap
  if gap then ngx.sleep(gap / 1000) end
end

--- Begins a body. Bytes given to `send` go out as one write each, or in pieces of `cut` bytes, or in two
-- parts that meet at byte `split`; between pieces pass `gap` milliseconds.
function writer.open(wanted, sequence)
  local state = {
    sequence = sequence, cut = wanted.cut, split = wanted.split, gap = wanted.gap, gzip = wanted.gzip,
    held = "", sent = 0, plain = {},
  }
  if wanted.cut or wanted.split then state.gap = wanted.gap or 0 end
  if wanted.split then state.gap = wanted.gap or 2 end
  if state.gzip then ngx.print("\31\139\8\0\0\0\0\0\0\255") end
  return state
end

--- Writes some bytes of the body.
function writer.send(state, bytes)
  local split, cut = state.split, state.cut
  if split and state.sent < split and state.sent + #bytes > split then
    local first = split - state.sent
    put(state, bytes:sub(1, first))
    pause(state)
    put(state, bytes:sub(first + 1))
  elseif cut then
    local all, from = state.held .. bytes, 1
    while #all - from + 1 >= cut do
      put(state, all:sub(from, from + cut - 1))
      pause(state)
      from = from + cut
    end
    state.held = all:sub(from)
  else
    for from = 1, #bytes, 65535 do put(state, #bytes <= 65535 and bytes or bytes:sub(from, from + 65534)) end
  end
  state.sent = state.sent + #bytes
end

--- Writes what a cut still holds back.
function writer.flush(state)
  if state.held == "" then return end
  local held = state.held
  state.held = ""
  put(state, held)
end

local function little_endian(value)
  return string.char(value % 256, math.floor(value / 256) % 256, math.floor(value / 65536) % 256,
    math.floor(value / 16777216) % 256)
end

--- Ends a body as it should end.
function writer.finish(state)
  writer.flush(state)
  if state.gzip then
    local plain = table.concat(state.plain)
    ngx.print("\1\0\0\255\255" .. little_endian(ngx.crc32_long(plain)) .. little_endian(#plain))
  end
  recorder.ended(state.sequence, "finished")
  ngx.eof()
end

return writer
