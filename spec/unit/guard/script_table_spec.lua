-- The tables of docs/guard.md about scripts say what is so: each entry is found in the texts beside it, and not in the others, whether they are
-- written in one code point a letter or in the way that the table has them.

local answer = require("sluice.wire.answer")
local guarding = require("spec.unit.guard.guarding")
local stream = require("sluice.guard.stream")

local function section(title)
    local file = assert(io.open("docs/guard.md"))
    local text = file:read("*a")
    file:close()
    return assert(text:match("\n### " .. title .. "\n(.-)\n##"), title)
end

local function texts_of(cell)
    local found = {}
    for text in cell:gmatch("`([^`]+)`") do
        found[#found + 1] = text
    end
    return found
end

-- The rows of a section's table, as the last three of its cells.
local function rows(title)
    local found = {}
    for line in section(title):gmatch("[^\n]+") do
        local entry, found_in, not_in = line:match("| ([^|]*) | ([^|]*) | ([^|]*) |$")
        if entry and entry:find("`", 1, true) then
            found[#found + 1] = { entry = texts_of(entry)[1], found_in = texts_of(found_in), not_in = texts_of(not_in), line = line }
        end
    end
    return found
end

-- Whether the guard finds anything in a text that comes in such pieces.
local function is_found(guard, pieces)
    local reader = answer.take_answer("chat", false)
    local guarded = stream.guard_stream(reader, guard)
    for number, piece in ipairs(pieces) do
        stream.read_guarded(guarded, ('data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'):format(piece), number)
    end
    stream.end_guarded(guarded, 99)
    local found = guarded.blocked
    answer.return_answer(reader)
    return found
end

local function characters(text)
    local pieces = {}
    for character in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
        pieces[#pieces + 1] = character
    end
    return pieces
end

for title, least in pairs({ ["Marks, by script"] = 20, ["Letters that look alike"] = 5 }) do
    describe("of the table " .. title .. ",", function()
        local all = rows(title)

        it("no row is overlooked", function()
            assert.is_true(#all >= least, #all .. " rows")
            for _, row in ipairs(all) do
                assert.is_true(#row.found_in > 0 and #row.not_in > 0, row.line)
            end
        end)

        for _, row in ipairs(all) do
            it("the entry " .. row.entry .. " is found where it says, and nowhere else", function()
                local guard = guarding.guard({ { words = row.entry, action = "block" } })
                for _, text in ipairs({ row.entry, unpack(row.found_in) }) do
                    assert.is_true(is_found(guard, { text }), text)
                    assert.is_true(is_found(guard, { "x " .. text .. "." }), text)
                    assert.is_true(is_found(guard, characters(text)), text)
                end
                for _, text in ipairs(row.not_in) do
                    assert.is_falsy(is_found(guard, { text }), text)
                    assert.is_falsy(is_found(guard, { "x " .. text .. "." }), text)
                    assert.is_falsy(is_found(guard, characters(text)), text)
                end
            end)
        end
    end)
end
