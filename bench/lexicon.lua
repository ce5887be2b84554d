-- How long a list of words takes until it can be scanned for, and how much memory.
-- luajit lexicon.lua compile|map DIRECTORY     SLUICE_LUA: the directory of the compiled Lua.
-- DIRECTORY has the list many.txt; what is compiled is kept in its folder `lexicons`, as a gateway keeps it.
-- compile: reads, compiles and keeps the list, also if that was done before. map: finds it compiled, in a process that
-- has not seen it. One line of JSON for each figure; time is CPU time.

package.path = (os.getenv("SLUICE_LUA") or "dist/lua") .. "/?.lua;" .. arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path

local mode, directory = assert(arg[1], "compile or map"), assert(arg[2], "no directory")

local folder = require("sluice.edge.folder")
local guards = require("guards")

local function tell(name, what, unit, target, figure)
  io.write(string.format('{"name":"%s","what":"%s","unit":"%s","target":%g,"figure":%.4f}\n', name, what, unit, target, figure))
end

if mode == "compile" then
  for _, name in ipairs(folder.list_folder(directory .. "/lexicons")) do
    os.remove(directory .. "/lexicons/" .. name)
  end
  local began = os.clock()
  local guard = guards.guard(directory, "many")
  tell("compile", "word list: read, compiled and kept", "s", 2, os.clock() - began)
  tell("memory", "the same, compiled: size of the image, shared by all workers", "MB", 8, guard.lexicon.bytes / 1e6)
else
  local _, opening = guards.guard(directory, "many")
  tell("map", "the same, compiled before: found, mapped and checked", "ms", 10, assert(opening, "it was not kept") * 1000)
end
