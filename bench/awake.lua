-- Keeps a core from falling asleep without taking it from anybody: gives it up again and again, until the
-- process that started this is gone. On a machine that is itself virtual, to wake a sleeping core costs the one
-- who wakes it more than a whole request, and a gateway that is slower than its client would pay for that with
-- every answer while the floor, which never lets the client rest, would not.

local ffi = require("ffi")

ffi.cdef [[
  int sched_yield(void);
  int getppid(void);
]]

local C = ffi.C
local parent = C.getppid()

repeat
  for _ = 1, 10000 do
    C.sched_yield()
  end
until C.getppid() ~= parent
