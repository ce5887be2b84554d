-- Random hostile texts in random streams. Set SLUICE_SPEC_SEED to the number printed to see the same ones again, and
-- SLUICE_SPEC_TEXTS to try more of them.

local trial = require("spec.unit.guard.stream_trial")
local walking = require("spec.unit.wire.walking")

local TEXTS = tonumber(os.getenv("SLUICE_SPEC_TEXTS")) or 10000
local MOST = 12

describe("a guarded stream of random hostile texts", function()
    local seed = walking.seed("guarded streams")

    it("lets no listed word out, changes nothing else, and holds back no more than it must", function()
        local texts = 0
        while texts < TEXTS do
            local case = trial.random_case(MOST)
            texts = texts + #case.texts
            local wrong = trial.try(case)
            assert(not wrong, wrong and ("SLUICE_SPEC_SEED=%d: %s\n%s"):format(seed, wrong, trial.told(case)))
        end
    end)
end)
