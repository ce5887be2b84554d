-- A script for wrk: sends the request of a file over and over and prints what happened as one line of JSON.
-- wrk -s load.lua URL -- FILE     The file: header lines, an empty line, the body.
-- luacheck: globals wrk init done

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local head, body = file:read("*a"):match("^(.-)\n\n(.*)$")
  file:close()
  wrk.method = "POST"
  wrk.body = body
  for name, value in head:gmatch("([^:\n]+): ([^\n]*)") do
    wrk.headers[name] = value
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
