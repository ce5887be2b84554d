-- Sets this process up as nginx's master process does before the workers inherit it. Required before anything that reads text.

local worker = {}

local DIRECTORY = os.getenv("SLUICE_LUA") or "dist/lua"
package.path = DIRECTORY .. "/?.lua;./?.lua;" .. package.path

-- The options that the gateway gives LuaJIT, from its own source.
local function start_options()
    local file = assert(io.open(DIRECTORY .. "/sluice/phases/init.lua"))
    local options = assert(file:read("*a"):match("start_options%(([^()]+)%)"))
    file:close()
    for option in options:gmatch('"([^"]+)"') do
        require("jit.opt").start(option)
    end
end

require("sluice.wire.text").use_text_sink(require("sluice.guard.text_sink").GUARDED_TEXT)

function worker.warm_up()
    start_options()
    require("sluice.wire.warm_up").warm_up()
    require("sluice.guard.warm_up").warm_up_guards()
end

return worker
