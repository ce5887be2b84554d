-- What a breaker does, said plainly: everything that has happened is kept in lists, and looked through each time.

local breaker_reference = {}

-- As breaker_view has them.
local SERVED, ANSWERED, DOUBTFUL, LOST = 1, 2, 3, 5
local NO, YES, TRIAL = 0, 1, 2
local BUSY, CLOSED, GUEST = 1, 2, 3
local STEPS, REMEMBERED, LAG_SECONDS, ROUNDING = 8, 48, 5, 1e-9

--- `configuration` as the breaker's. `trial_seconds`: the life of a trial or guest that reports nothing.
function breaker_reference.new(configuration, trial_seconds, check_seconds)
    local failures, window, open_time = configuration.failures, configuration.window, configuration.open
    local step = window / STEPS
    local patience = check_seconds > 0 and math.max(check_seconds, open_time) or 0
    local made = { until_time = nil }
    -- All attempts that ended, but failures only since it was closed, in order; and the failures that are remembered.
    local ended, met, saved = {}, {}, -math.huge
    local trial, guests, last_trial

    local function alive(entry, now) return entry ~= nil and now < entry.ends end
    local function remembered(now)
        if now >= saved + 2 * (window + open_time) + LAG_SECONDS then met, last_trial = {}, nil end
        return met
    end
    local function remember(now, mark, doubtful)
        table.insert(remembered(now), { time = now, mark = mark, doubtful = doubtful })
        if #met > REMEMBERED then table.remove(met, 1) end
        saved = now
    end
    local function has_met(now, mark)
        for _, each in ipairs(remembered(now)) do
            if each.mark == mark and not each.forgotten then return true end
        end
        return false
    end

    -- How many ended before that time, by what came of them.
    local function before(time, is_one)
        local count = 0
        for _, each in ipairs(ended) do
            if each.time < time and is_one(each.evidence) then count = count + 1 end
        end
        return count
    end
    local function in_window(now, is_one)
        local position = now / step - STEPS
        local first = math.floor(position)
        local low, high = before(first * step, is_one), before((first + 1) * step, is_one)
        return before(math.huge, is_one) - (low + (position - first) * (high - low))
    end
    local function is_served(evidence) return evidence == SERVED end
    local function is_well(evidence) return evidence == SERVED or evidence == ANSWERED end
    local function is_failed(evidence) return evidence >= DOUBTFUL end
    local function has_served(now)
        return before(math.huge, is_served) > before((math.floor(now / step) - STEPS) * step, is_served)
    end

    local function run()
        local length = 0
        for index = #ended, 1, -1 do
            if ended[index].evidence ~= LOST then break end
            length = length + 1
        end
        return length
    end
    local function counted(now, most)
        local by_caller, count = {}, 0
        for _, each in ipairs(remembered(now)) do
            if not each.forgotten and now - each.time <= window then
                local so_far = by_caller[each.mark] or 0
                if not each.doubtful then
                    count = count + 1
                elseif so_far < most then
                    count = count + 1
                    by_caller[each.mark] = so_far + 1
                end
            end
        end
        return count
    end

    -- Failures until now are forgotten; what ended well is not.
    local function close()
        local well = {}
        for _, each in ipairs(ended) do
            if each.evidence < DOUBTFUL then well[#well + 1] = each end
        end
        made.until_time, trial, guests, ended, met, last_trial = nil, nil, nil, well, {}, nil
    end
    local function open(now) made.until_time, trial = now + open_time, nil end

    function made.may_try(now)
        if made.until_time == nil then return YES end
        return (now < made.until_time + patience or alive(trial, now)) and NO or TRIAL
    end
    function made.must_wait(now, mark)
        if made.until_time == nil or now >= made.until_time + patience + open_time then return false end
        remembered(now)
        return last_trial == mark
    end
    --- Returns the opening, or nil.
    function made.take_trial(now)
        if made.may_try(now) ~= TRIAL then return nil end
        trial = { ends = now + trial_seconds }
        return made.until_time
    end
    --- Returns what comes of it, and the opening.
    function made.enter(now, mark)
        if made.until_time == nil then return CLOSED end
        if has_met(now, mark) then return NO end
        if alive(guests, now) then
            local quiet = math.floor((math.floor(now * 1000) - guests.since) / 500)
            if guests.count >= math.min(1024, 2 ^ quiet) then return BUSY end
            guests.count = guests.count + 1
        else
            guests = { ends = now + trial_seconds, since = math.floor(now * 1000), count = 1 }
        end
        return GUEST, made.until_time
    end
    local function leave(now)
        if alive(guests, now) then
            guests.count = guests.count - 1
            if guests.count == 0 then guests = nil end
        end
    end
    function made.drop(now, opening, is_guest)
        if is_guest then
            leave(now)
        elseif opening ~= nil and opening == made.until_time then
            trial = nil
        end
    end
    function made.fail(now, evidence, mark, opening, is_guest)
        if is_guest then
            leave(now)
            if alive(guests, now) then guests.since = math.floor(now * 1000) end
        end
        if made.until_time ~= nil then
            remember(now, mark, evidence == DOUBTFUL)
            if not is_guest and opening == made.until_time then
                last_trial = mark
                open(now)
            end
            return
        end
        local most = has_served(now) and math.floor(failures / 2) or math.huge
        local own = 0
        for _, each in ipairs(remembered(now)) do
            if each.mark == mark and each.doubtful and not each.forgotten and now - each.time <= window then own = own + 1 end
        end
        if evidence == DOUBTFUL and own >= most then return end
        local failed, well = in_window(now, is_failed) + 1, in_window(now, is_well)
        table.insert(ended, { time = now, evidence = evidence })
        remember(now, mark, evidence == DOUBTFUL)
        local count = counted(now, most)
        failed = math.max(failed, count)
        local is_share = failed + ROUNDING >= configuration.share * (failed + well)
        if count >= failures and (is_share or run() >= failures) then
            for _, each in ipairs(met) do each.forgotten = each.forgotten or now - each.time > window end
            open(now)
        end
    end
    local function settle(now, served, opening, is_guest)
        if is_guest then leave(now) end
        local closes = opening ~= nil and opening == made.until_time
        if is_guest then closes = served and made.until_time ~= nil end
        if closes then close() end
        return closes
    end
    function made.finish(now, served, opening, is_guest)
        settle(now, served, opening, is_guest)
        table.insert(ended, { time = now, evidence = served and SERVED or ANSWERED })
    end
    function made.begin(now, opening, is_guest)
        if settle(now, true, opening, is_guest) then table.insert(ended, { time = now, evidence = SERVED }) end
    end
    function made.check(now, good)
        if made.until_time == nil or now < made.until_time then return end
        if good then close() else open(now) end
    end
    return made
end

return breaker_reference
