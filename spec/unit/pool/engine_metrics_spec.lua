local read_figures = require("sluice.pool.engine_metrics").read_figures

local function read(page, engine)
    local figures = read_figures(page, engine or "vllm")
    return { figures.waiting, figures.running, figures.cache }
end

local NOTHING = { -1, -1, -1 }

describe("an engine's page", function()
    it("of vLLM gives its figures", function()
        assert.same({ 3, 12, 0.25 }, read([[
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen2.5-72B-Instruct"} 12.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen2.5-72B-Instruct"} 3.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 900.0
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen2.5-72B-Instruct"} 0.25
vllm:prompt_tokens_total{engine="0"} 1.234e+06
]]))
    end)

    it("of an older vLLM too, unless it has both names", function()
        assert.same({ -1, -1, 0.5 }, read("vllm:gpu_cache_usage_perc 0.5"))
        assert.same({ -1, -1, 0.1 }, read("vllm:gpu_cache_usage_perc 0.5\nvllm:kv_cache_usage_perc 0.1\n"))
    end)

    it("of SGLang gives its figures", function()
        assert.same({ 7, 2, 0.9 }, read([[
sglang:num_running_reqs{model_name="m",tp_rank="0"} 2
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 7.0
sglang:token_usage{model_name="m",tp_rank="0"} 0.9
]], "sglang"))
    end)

    it("adds up the ranks, and takes the fullest cache", function()
        assert.same({ 7, 3, 0.75 }, read([[
vllm:num_requests_waiting{engine="0"} 3
vllm:num_requests_waiting{engine="1"} 4
vllm:num_requests_running{engine="0"} 1
vllm:num_requests_running{engine="1"} 2
vllm:kv_cache_usage_perc{engine="0"} 0.75
vllm:kv_cache_usage_perc{engine="1"} 0.5
]]))
    end)

    it("may have any labels, spaces, times and line ends that the format allows", function()
        for _, line in ipairs({
            "vllm:num_requests_waiting 5", "vllm:num_requests_waiting\t5", "vllm:num_requests_waiting{} 5", "vllm:num_requests_waiting{}5",
            'vllm:num_requests_waiting{a="}"} 5', 'vllm:num_requests_waiting{a="\\""} 5', 'vllm:num_requests_waiting{a="\\\\"} 5',
            'vllm:num_requests_waiting{a="x\\\\\\"}9",b="{ 8"} 5', "vllm:num_requests_waiting 5\r", "vllm:num_requests_waiting 5 1700000000000",
            "vllm:num_requests_waiting 5 -1", "vllm:num_requests_waiting  5.0  ", "vllm:num_requests_waiting 5e0", "vllm:num_requests_waiting 0.5E+1",
            'vllm:num_requests_waiting{a="vllm:num_requests_waiting 9"} 5',
        }) do
            assert.same({ 5, -1, -1 }, read(line), line)
            assert.same({ 5, -1, -1 }, read("x 1\n" .. line .. "\nx 2\n"), line)
        end
    end)

    it("gives nothing where there is nothing", function()
        for _, line in ipairs({
            "", "\n", "\n\n\n", "vllm:num_requests_waiting", "vllm:num_requests_waiting ", "vllm:num_requests_waiting{",
            'vllm:num_requests_waiting{a="',
            'vllm:num_requests_waiting{a="} 5', 'vllm:num_requests_waiting{a="\\"} 5', "vllm:num_requests_waiting NaN",
            "vllm:num_requests_waiting +Inf",
            "vllm:num_requests_waiting -1", "vllm:num_requests_waiting 0x10", "vllm:num_requests_waiting 5 x", "vllm:num_requests_waiting 5,0",
            "vllm:num_requests_waiting nan", "vllm:num_requests_waiting inf", "vllm:num_requests_waiting 1e999", "vllm:num_requests_waiting 1e",
            "vllm:num_requests_waiting5", "vllm:num_requests_waiting\n5", " vllm:num_requests_waiting 5", "# vllm:num_requests_waiting 5",
            "avllm:num_requests_waiting 5", "sglang:num_queue_reqs 5", "vllm:num_requests_waiting\0 5", ("\0"):rep(1000),
            'vllm:num_requests_waiting{a="' .. ("x"):rep(5000) .. '"} 5', "<html><body>vllm:num_requests_waiting 5</body></html>",
        }) do
            assert.same(NOTHING, read(line), line)
        end
    end)

    it("has sensible figures whatever it says", function()
        assert.same({ 1e9, 1e9, 1 }, read("vllm:num_requests_waiting 1e300\nvllm:num_requests_running 5e9\nvllm:kv_cache_usage_perc 99\n"))
    end)

    it("is read in time and with bounds, however hostile it is", function()
        -- Lines beyond the thousandth of a figure count no more.
        assert.equal(1024, read(("vllm:num_requests_waiting 1\n"):rep(5000))[1])
        for _, page in ipairs({
            ("vllm:num_requests_waiting"):rep(80000), ("vllm:num_requests_waiting{"):rep(80000),
            ('vllm:num_requests_waiting{a="\\'):rep(70000),
            ("\n"):rep(2e6), 'vllm:num_requests_waiting{a="' .. ("\\"):rep(2e6), ("vllm:num_requests_waiting{\n"):rep(80000),
        }) do
            assert.same(NOTHING, read(page))
        end
    end)

    it("never breaks the reader, and gives what was put into it among noise", function()
        local seed = tonumber(os.getenv("SLUICE_SPEC_SEED")) or os.time() % 1000000
        io.write("engine metrics: SLUICE_SPEC_SEED=", seed, "\n")
        math.randomseed(seed)
        local pieces = {
            "vllm:", "num_requests_waiting", "{", "}", '"', "\\", " ", "5", "1e3", "\n", "\r\n", "a=", ",", "-", ".", "NaN", "\0", "\255", "#",
            "_total",
        }
        for _ = 1, 3000 do
            local noise = {}
            for index = 1, math.random(40) do noise[index] = pieces[math.random(#pieces)] end
            local text = table.concat(noise)
            local figures = read(text)
            for _, value in ipairs(figures) do assert.is_true(value == -1 or value >= 0) end
            -- The figure of a line of its own comes on top of what the noise may say.
            local with = read(text .. "\nvllm:num_requests_running{x=\"y\"} 42\n")
            assert.equal(42, with[2])
            assert.equal(figures[1], with[1])
        end
    end)
end)
