-- How many descriptors this process has open. It looks for itself: a program that is started to look runs beside `io.popen`, which closes
-- its own end of the pipe whenever it comes to it, so that the program finds one more at times.

local lfs = require("lfs")

return function()
    -- Files that nobody holds any more are closed by the collector.
    collectgarbage()
    local count = 0
    for name in lfs.dir("/proc/self/fd") do
        if name:match("^%d+$") then count = count + 1 end
    end
    return count
end
