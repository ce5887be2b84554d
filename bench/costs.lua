-- What a byte of a text costs, by its kind and by guard: the whole walk of a chat request, without nginx around it.
-- luajit costs.lua DIRECTORY     SLUICE_LUA: the directory of the compiled Lua. DIRECTORY isn't used.
-- For each kind of text one line of JSON: nanoseconds of CPU time a byte by guard, the least of some rounds. All kinds and
-- guards warm the JIT up together.

package.path = arg[0]:gsub("bench/[^/]*$", "") .. "?.lua;./?.lua;" .. package.path
require("spec.cost.worker").warm_up()
local measure = require("spec.cost.measure")

local BYTES = 30000
local ROUNDS = 9

local KINDS = {
    { "prose", "word" },
    { "digits", "digit" },
    { "CSV", "group comma digit comma group dot digit semicolon" },
    { "timestamps", "stamp comma" },
    { "hex", "hex digit" },
    { "base64", "base64 base64 base64 letter" },
    { "ideographs", "rare_ideograph" },
    { "mixed", "word group comma rare_ideograph newline accented blank hex digit address blank" },
    { "digits with blanks", "digit blank" },
}
local GUARDS = { "none", "words", "strict", "numbers", "email", "list", "everything" }

local least = {}
for round = 0, ROUNDS do
    for number, kind in ipairs(KINDS) do
        least[number] = least[number] or {}
        for index, guard in ipairs(GUARDS) do
            local case = measure.parsed("chat content | " .. guard .. " | " .. kind[2])
            local figure = measure.time(case, BYTES, 3)
            -- What the first round takes is mostly the compiler's.
            least[number][index] = round > 0 and math.min(least[number][index] or math.huge, figure) or nil
        end
    end
end
for number, kind in ipairs(KINDS) do
    local figures = {}
    for index in ipairs(GUARDS) do
        figures[index] = ("%.1f"):format(least[number][index])
    end
    io.write(('{"kind":"%s","guards":["%s"],"figures":[%s]}\n'):format(kind[1], table.concat(GUARDS, '","'), table.concat(figures, ",")))
end
