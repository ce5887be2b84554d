-- The guards under which costs are looked at: those of docs/guard.md, and one that looks for everything in large lists.

local guarding = require("spec.unit.guard.guarding")
local texts = require("spec.cost.texts")

local SMALL = "代购发票\n内部价\tmask\nsecret plan\ncafé\n"
local NUMBERS = { cn_mobile = "mask", cn_id_card = "mask", payment_card = "mask", us_ssn = "mask" }

local function small(patterns) return guarding.guard({ { words = SMALL, action = "block" } }, patterns) end

local all = { email = "mask" }
for name, action in pairs(NUMBERS) do
    all[name] = action
end

local guards = {
    words = small(),
    -- The one at the head of the page.
    strict = small({ cn_mobile = "mask", cn_id_card = "mask", payment_card = "mask", email = "flag" }),
    numbers = small(NUMBERS),
    email = small({ email = "mask" }),
    list = guarding.guard({ { words = table.concat(texts.words(), "\n"), action = "mask" } }),
    everything = guarding.guard({ { words = table.concat(texts.words(), "\n"), action = "mask" } }, all),
}

return guards
