-- The accounts against a plain reference that knows everything at once: one table for each account, and no dictionary, no numbers of
-- changes, no workers but for their turns.

local accounts_module = require("sluice.pool.accounts")
local states = require("sluice.pool.account_states")
local dictionary = require("spec.unit.pool.lasting_dictionary").new

local TRIAL_SECONDS = 60

local function new_reference(weights, workers)
    local reference = { accounts = {}, claims = {} }
    for index, weight in ipairs(weights) do
        reference.accounts[index] = { weight = weight, rest = nil, trial_ends = nil, cool = 0, level = 0, limited = nil }
    end
    for worker = 1, workers do
        reference.claims[worker] = {}
        for index = 1, #weights do reference.claims[worker][index] = 0 end
    end
    return reference
end

local function try(reference, now)
    for index, account in ipairs(reference.accounts) do
        if account.rest and now >= account.rest and not (account.trial_ends and now < account.trial_ends) then
            account.trial_ends = now + TRIAL_SECONDS
            return index, 0, account.rest
        end
    end
end

-- Those that may be used, by their claims once these have grown, and then by when they were limited.
local function choose(reference, worker, used, now)
    local claims, free, total = reference.claims[worker], {}, 0
    for index, account in ipairs(reference.accounts) do
        if not account.rest and now >= account.cool and not used[index] then
            claims[index] = claims[index] + account.weight
            total = total + account.weight
            local recent = account.limited and now - account.limited < 60
            free[#free + 1] = { index = index, claim = claims[index], limited = recent and account.limited or -1 }
        end
    end
    table.sort(free, function(a, b)
        if a.claim ~= b.claim then return a.claim > b.claim end
        if a.limited ~= b.limited then return a.limited < b.limited end
        return a.index < b.index
    end)
    if free[1] == nil then return end
    claims[free[1].index] = claims[free[1].index] - total
    return free[1].index, 0, nil
end

local function next_of(reference, worker, used, now)
    local first = next(used) == nil
    local steps = first and { try, choose } or { choose, try }
    for _, step in ipairs(steps) do
        local index, wait, ticket
        if step == try then index, wait, ticket = try(reference, now) else index, wait, ticket = choose(reference, worker, used, now) end
        if index then return index, wait, ticket end
    end
    local waiting = {}
    for index, account in ipairs(reference.accounts) do
        if not account.rest then
            waiting[#waiting + 1] = { index = index, wait = math.max(0, account.cool - now), used = used[index] and 1 or 0 }
        end
    end
    table.sort(waiting, function(a, b)
        if a.wait ~= b.wait then return a.wait < b.wait end
        if a.used ~= b.used then return a.used < b.used end
        return a.index < b.index
    end)
    if waiting[1] == nil then return 0, 0, nil end
    return waiting[1].index, waiting[1].wait, nil
end

local function refuse(account, now, rest)
    if account.rest and account.rest ~= rest then return end
    account.rest, account.trial_ends = now + 300, nil
end

local function limit(account, now, seconds, rest)
    if account.rest and account.rest ~= rest then return end
    account.rest, account.trial_ends = nil, nil
    account.limited = now
    if seconds > 0 then
        account.cool = math.max(account.cool, now + seconds)
    elseif now >= account.cool then
        account.level = account.level + 1
        account.cool = now + math.min(60, 2 ^ (account.level - 1))
    end
end

local function accept(account, now, rest)
    if account.rest and account.rest == rest then account.rest, account.trial_ends = nil, nil end
    if now >= account.cool and not account.rest then account.level = 0 end
end

describe("the accounts of a pool", function()
    it("are chosen as a plain reference chooses them, whatever happens in which worker", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("accounts: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local trials, waits, none = 0, 0, 0
        for round = 1, 300 do
            local weights, names = {}, {}
            for index = 1, math.random(4) do
                weights[index], names[index] = math.random(3), "account" .. index
            end
            local shared = dictionary(100)
            local workers = {}
            for worker = 1, 2 do workers[worker] = states.new_accounts(shared, "gpu", names, weights, TRIAL_SECONDS) end
            local reference, now, under_way = new_reference(weights, 2), 1000 + math.random(), {}
            for step = 1, 200 do
                local place = ("round %d, step %d"):format(round, step)
                now = now + math.random() ^ 4 * ({ 0, 1, 20, 400 })[math.random(4)]
                shared.now = now
                local worker, what = math.random(2), math.random(10)
                local accounts = workers[worker]
                if what <= 5 or #under_way == 0 then
                    local used, used_places = {}, accounts_module.new_used()
                    for index = 1, #weights do
                        if math.random(5) == 1 then
                            used[index] = true
                            accounts_module.mark_used(used_places, index - 1)
                        end
                    end
                    local index, wait, ticket = next_of(reference, worker, used, now)
                    assert.same({ index - 1, wait, ticket or 0 }, { accounts_module.next_account(accounts, used_places, now) }, place)
                    if ticket then trials = trials + 1 elseif wait > 0 then waits = waits + 1 elseif index == 0 then none = none + 1 end
                    if index > 0 then under_way[#under_way + 1] = { index = index, ticket = ticket } end
                else
                    -- An attempt of whichever worker ends, or never does.
                    local attempt = table.remove(under_way, math.random(#under_way))
                    local account, index, ticket = reference.accounts[attempt.index], attempt.index - 1, attempt.ticket or 0
                    if what == 6 then
                        refuse(account, now, attempt.ticket)
                        states.note_refused(accounts, index, now, ticket)
                    elseif what == 7 then
                        local seconds = math.random(2) == 1 and -1 or math.random() * 50
                        limit(account, now, seconds, attempt.ticket)
                        states.note_limited(accounts, index, now, seconds, ticket)
                    elseif what <= 9 then
                        -- What a worker has not heard of costs a success nothing, and ends nothing: so let it hear.
                        states.refresh(accounts)
                        accept(account, now, attempt.ticket)
                        states.note_accepted(accounts, index, now, ticket)
                    elseif math.random(2) == 1 then
                        states.drop_trial(accounts, index, ticket)
                        if account.rest and account.rest == attempt.ticket then account.trial_ends = nil end
                    end
                end
            end
        end
        assert.is_true(trials > 100 and waits > 100 and none > 100)
    end)
end)
