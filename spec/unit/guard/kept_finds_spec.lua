-- Marks and scripts must not let out what lists in English or Chinese found when all marks were ignored and look-alikes were one, whatever other
-- lists a guard has beside them.

local earlier_folds = require("spec.unit.guard.earlier_folds")
local field = require("sluice.guard.field")
local guarding = require("spec.unit.guard.guarding")
local json = require("sluice.wire.json")
local letters = require("sluice.guard.letters")
local random_words = require("spec.unit.guard.random_words")
local scanner = require("sluice.guard.scanner")
local walking = require("spec.unit.wire.walking")

local random = math.random

local ENGLISH = { "bad", "cop", "secret plan", "azure", "kitty9", "dd", "note", "exit" }
local CHINESE = { "敏感词", "发票", "代购", "国" }
local OTHERS = "cặc\ncóp\nсор\nбад\nёлка\nกู\nค\nकु\nが\n한글\nnóte\nđi\nνοτε\nеxiт"

local IGNORED, AS = {}, {}
for code_point, folded in pairs(earlier_folds) do
    if folded == "" then
        IGNORED[#IGNORED + 1] = code_point
    elseif #folded == 1 then
        AS[folded] = AS[folded] or {}
        table.insert(AS[folded], code_point)
    end
end
table.sort(IGNORED)
for _, list in pairs(AS) do
    table.sort(list)
end

local TRADITIONAL = { [0x53D1] = 0x767C, [0x8BCD] = 0x8A5E, [0x8D2D] = 0x8CFC, [0x56FD] = 0x570B }

-- The word in characters that folded to its own, with ignored ones between and behind them.
local function disguised(word)
    local made = {}
    for _, code_point in ipairs(random_words.decoded(word)) do
        local alike = code_point < 128 and AS[string.char(code_point)]
        made[#made + 1] = alike and alike[random(#alike)] or (random(2) == 1 and TRADITIONAL[code_point]) or code_point
        for _ = 1, random(0, 2) do
            made[#made + 1] = IGNORED[random(#IGNORED)]
        end
    end
    return made
end

local function is_found(lexicon, code_points)
    local looking, text = scanner.new_scanner(lexicon), field.new_field()
    scanner.begin_text(looking, text, false)
    for at, code_point in ipairs(code_points) do
        text.position, text.next, text.passed = at, at + 1, at
        letters.scan_character(looking, text, scanner.place_of(lexicon, code_point), code_point)
    end
    letters.settle(looking, text)
    return #looking.hits > 0
end

describe("what a list in English or Chinese found when all marks were ignored", function()
    local seed = walking.seed("disguises")
    local own = table.concat(ENGLISH, "\n") .. "\n" .. table.concat(CHINESE, "\n")
    local lexicons = { guarding.lexicon({ { words = own } }), guarding.lexicon({ { words = own }, { words = OTHERS } }) }

    it("it finds today, alone and beside lists in other languages", function()
        assert.is_true(#IGNORED > 200 and #AS.a > 30)
        for _ = 1, 6000 do
            local word = random(2) == 1 and ENGLISH[random(#ENGLISH)] or CHINESE[random(#CHINESE)]
            local text = disguised(word)
            for number, lexicon in ipairs(lexicons) do
                if not is_found(lexicon, text) then
                    error(("SLUICE_SPEC_SEED=%d: %s is not found in %s (lexicon %d)"):format(seed, word, random_words.encoded(text), number))
                end
            end
        end
    end)

    it("it finds with every single character of those", function()
        local words = { "bad" }
        for letter in ("abcdefghijklmnopqrstuvwxyz"):gmatch(".") do
            words[#words + 1] = "q" .. letter .. "q"
        end
        local english = { words = table.concat(words, "\n") }
        local wrong = {}
        for number, lexicon in ipairs({ guarding.lexicon({ english }), guarding.lexicon({ english, { words = OTHERS } }) }) do
            for code_point, folded in pairs(earlier_folds) do
                local text = folded == "" and { 98, code_point, 97, 100 } or { 113, code_point, 113 }
                if (#folded == 0 or folded:match("^%l$")) and not is_found(lexicon, text) then
                    wrong[#wrong + 1] = ("U+%04X %s (lexicon %d)"):format(code_point, json.encode_utf8(code_point), number)
                end
            end
        end
        assert.same({}, wrong)
    end)
end)
