-- Makes the guards that are measured, in the way in which the gateway makes those of its configuration.

local clock = require("sluice.edge.clock")
local crypto = require("sluice.edge.crypto")
local file = require("sluice.edge.file")
local file_store = require("sluice.guard.file_store")
local folder = require("sluice.edge.folder")
local load = require("sluice.guard.load")
local mapped_file = require("sluice.edge.mapped_file")

local guards = {}

--- A guard that blocks what is in the list `name`.txt of a directory, in prompts and answers. What is compiled is kept in
-- the directory's folder `lexicons`. Returns the guard, and the CPU seconds that the store took to find it there.
function guards.guard(directory, name)
  local store = file_store.file_store(directory .. "/lexicons", {
    map_file = mapped_file.map_file,
    write_private = mapped_file.write_private,
    remove_file = folder.remove_file,
    lock_file = folder.lock_file,
    unlock_file = folder.unlock_file,
    list_folder = folder.list_folder,
    is_running = folder.is_running,
    read_file = file.read_file,
  })
  local open = store.open
  local opening
  function store.open(key)
    local began = os.clock()
    local lexicon, text = open(key)
    opening = lexicon and opening == nil and os.clock() - began or opening
    return lexicon, text
  end
  local configuration = {
    name = name, on = {"prompt", "completion"},
    lexicons = {{file = directory .. "/" .. name .. ".txt", name = name, action = "block"}},
  }
  local built = load.build_guards({configuration}, true, {
    read_file = file.read_file,
    sha256_hex = crypto.sha256_hex,
    store = store,
    pause = function() end,
    now = clock.monotonic,
  })
  local _, problem = next(built.problems)
  assert(not problem, problem and problem.message)
  for _, notice in ipairs(built.notices) do
    assert(not notice.serious, notice.message)
  end
  return built.guards[name], opening
end

return guards
