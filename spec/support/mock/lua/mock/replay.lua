--- Recorded streams: read when the mock starts, so that workers need no file, and sent byte for byte.

local replay = { streams = {} }

--- Reads every `.sse` file of a directory.
function replay.load(directory)
  local listing = assert(io.popen("ls '" .. directory .. "'"))
  for file in listing:lines() do
    local name = file:match("^([%w_]+)%.sse$")
    if name then
      local stream = assert(io.open(directory .. "/" .. file, "rb"))
      replay.streams[name] = stream:read("*a")
      stream:close()
    end
  end
  listing:close()
end

return replay
