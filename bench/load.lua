-- A script for wrk: sends the request of a file over and over and prints what happened as one line of JSON.
-- wrk -s load.lua URL -- FILE     The file: header lines, an empty line, the body.
-- A header in which <1-N> stands is sent with numbers from 1 to N in its place, one after the other: some thousands of
-- them, made beforehand and spread over all.
-- luacheck: globals wrk init request done

local MOST_REQUESTS = 4096

-- Makes the requests, and lets them take turns.
local function alternate(name, value, most)
  local requests, next_one = {}, 0
  local count = math.min(most, MOST_REQUESTS)
  for number = 1, count do
    -- A step that has no divisor in common with a round number visits them in no order.
    local one = most <= MOST_REQUESTS and number or (number * 7919) % most + 1
    wrk.headers[name] = value:gsub("<1%-%d+>", ("%d"):format(one))
    requests[number] = wrk.format()
  end
  function request()
    next_one = next_one % count + 1
    return requests[next_one]
  end
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local head, body = file:read("*a"):match("^(.-)\n\n(.*)$")
  file:close()
  wrk.method = "POST"
  wrk.body = body
  for name, value in head:gmatch("([^:\n]+): ([^\n]*)") do
    wrk.headers[name] = value
  end
  for name, value in pairs(wrk.headers) do
    local most = tonumber(value:match("<1%-(%d+)>"))
    if most then
      alternate(name, value, most)
      break
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%d,"microseconds":%d,"failed":%d,"refused":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50), latency:percentile(99)))
end
