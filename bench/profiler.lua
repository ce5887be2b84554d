-- Stands in the place of the gateway's module `sluice.phases.init` while bench/profile runs: lets the module do
-- its work and starts one of LuaJIT's own profilers in the worker. Names between @ are filled in by profile.ts.
-- luacheck: read globals ngx

package.path = package.path .. ";@LUAJIT_PATH@"

local WARM_SECONDS = tonumber("@WARM_SECONDS@")
local SECONDS = tonumber("@SECONDS@")

local function start_profiler()
  if "@KIND@" == "traces" then
    require("jit.v").on("@OUTPUT@")
    return
  end
  local profiler = require("jit.p")
  ngx.timer.at(WARM_SECONDS, function()
    profiler.start("@MODE@", "@OUTPUT@")
  end)
  ngx.timer.at(WARM_SECONDS + SECONDS, function()
    profiler.stop()
  end)
end

local unprofiled = require("sluice.phases.init_unprofiled")

return {
  start = function(...)
    local phases = unprofiled.start(...)
    local init_worker = phases.init_worker
    phases.init_worker = function()
      start_profiler()
      return init_worker()
    end
    return phases
  end,
}
