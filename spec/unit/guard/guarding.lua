-- Guards for specs, made from word lists that are written down beside the test.

local ffi = require("ffi")
local compile = require("sluice.guard.compile")
local fold = require("sluice.guard.fold")
local lexicon = require("sluice.guard.lexicon")
local pattern_state = require("sluice.guard.pattern_state")
local text_sink = require("sluice.guard.text_sink")
local word_list = require("sluice.guard.word_list")
local text = require("sluice.wire.text")

text.use_text_sink(text_sink.GUARDED_TEXT)

local guarding = {}

local ACTIONS = { flag = 1, mask = 2, block = 3 }
local PATTERNS = {}
for index, name in ipairs(pattern_state.PATTERN_NAMES) do
    PATTERNS[name] = 2 ^ (index - 1)
end

local function pause() end

-- lists: each { words = "text of a list", action = "mask", whole = "ascii", separators = "auto", name = "…" }.
function guarding.lexicon(lists)
    local sources = {}
    for index, list in ipairs(lists) do
        local read, reason = word_list.read_word_list(list.words, {
            list = index - 1, action = 0, whole = list.whole or "ascii", separators = list.separators or "auto",
        }, pause)
        assert(read, reason)
        sources[index] = {
            name = list.name or ("list" .. index),
            action = ACTIONS[list.action or "block"],
            words = read.words,
            characters_size = read.characters_size,
        }
    end
    local image, bytes = compile.compile_lexicon(sources, true, pause)
    local made, reason = lexicon.open_image(image, bytes, fold.FOLD_VERSION, image)
    return assert(made, reason)
end

-- patterns: { cn_mobile = "mask", … }.
function guarding.guard(lists, patterns)
    local made = guarding.lexicon(lists)
    local wanted, held, actions = 0, 0, {}
    for name, action in pairs(patterns or {}) do
        wanted = wanted + PATTERNS[name]
        if action ~= "flag" then
            held = held + PATTERNS[name]
        end
        actions[PATTERNS[name]] = ACTIONS[action]
    end
    return {
        name = "strict", on_prompt = true, on_completion = true, lexicon = made, lists = made.names,
        patterns = wanted, held_patterns = held, pattern_actions = actions,
    }
end

function guarding.address(buffer)
    return tonumber(ffi.cast("intptr_t", buffer))
end

return guarding
