local command = require("spec.unit.cli.command")

local GOOD = [[
tenants: [{id: acme, api_keys: [{id: web, secret: "${WEB_KEY}"}], api_keys_file: acme.keys}]
models: [{name: chat, pool: gpu}]
pools: [{name: gpu, endpoints: [{url: "http://10.0.0.11:8000"}]}]
]]
local HASH = ("0123456789abcdef"):rep(4)

describe("The sluice command", function()
    local folder

    before_each(function() folder = command.folder() end)
    after_each(function() command.remove(folder) end)

    local function run(arguments, variables) return command.run(folder, arguments, variables) end

    it("checks a configuration and the files that it names", function()
        command.write(folder .. "/good.yaml", GOOD)
        command.write(folder .. "/acme.keys", "batch " .. HASH .. "\n")
        local status, output, errors = run("check good.yaml", "WEB_KEY=sk-web-key")
        assert.equals("", errors)
        assert.equals(0, status)
        assert.is_truthy(output:find("^good.yaml: ok %(1 tenant, 1 model, 1 pool; version %x+%)\n$"), output)
    end)

    it("tells every problem on a line of standard error, and ends with 1", function()
        command.write(folder .. "/bad.yaml", GOOD:gsub("pool: gpu", "pool: gpv"):gsub("models:", "modles:"))
        local status, output, errors = run("check bad.yaml")
        assert.equals(1, status)
        assert.equals("", output)
        assert.equals(
            "bad.yaml: tenants[0].api_keys[0].secret: the environment variable WEB_KEY is not set (line 1)\n" ..
            "bad.yaml: models: is missing; expected a list (line 1)\n" ..
            "bad.yaml: modles: unknown member; did you mean models? (line 2)\n", errors)
    end)

    it("never shows a secret", function()
        command.write(folder .. "/bad.yaml", GOOD)
        command.write(folder .. "/acme.keys", "batch canary2\nbatch " .. HASH .. " canary3\n")
        local status, output, errors = run("check bad.yaml", "WEB_KEY='canary1 with spaces'")
        assert.equals(1, status)
        assert.equals("", output)
        assert.is_true(#errors > 0)
        assert.is_nil(errors:find("canary", 1, true), errors)
    end)

    it("tells of files that can't be read", function()
        local status, _, errors = run("check missing.yaml")
        assert.same({ 1, "missing.yaml: can't be read: No such file or directory\n" }, { status, errors })
        status, _, errors = run("check .")
        assert.same({ 1, ".: can't be read: it is a folder\n" }, { status, errors })
        command.write(folder .. "/good.yaml", GOOD)
        status, _, errors = run("check good.yaml", "WEB_KEY=sk-web-key")
        assert.equals(1, status)
        assert.equals("good.yaml: tenants[0].api_keys_file: expected a file that can be read: No such file or directory (line 1)\n",
            errors)
    end)

    it("reads public keys and key sets too", function()
        local issuer = "auth: {jwt: [{issuer: a, audience: b, algorithms: [RS256], public_key_file: key.pem}]}\n"
        command.write(folder .. "/issuer.yaml", GOOD:gsub(", api_keys_file: acme.keys", "") .. issuer)
        command.output_of("cd '" .. folder .. "' && openssl genrsa -out private.pem 2048 2>&1 && " ..
            "openssl rsa -in private.pem -pubout -out key.pem 2>&1")
        local status, output = run("check issuer.yaml", "WEB_KEY=sk-web-key")
        assert.equals(0, status, output)

        command.write(folder .. "/key.pem", "no key\n")
        local errors
        status, output, errors = run("check issuer.yaml", "WEB_KEY=sk-web-key")
        assert.same({ 1, "" }, { status, output })
        assert.is_truthy(errors:find("^issuer.yaml: auth.jwt%[0%].public_key_file: "), errors)

        command.write(folder .. "/issuer.yaml", (GOOD:gsub(", api_keys_file: acme.keys", "") .. issuer:gsub("public_key_file", "jwks_file")))
        command.write(folder .. "/key.pem", "{\"keys\":[],\"keys\":[]}")
        status, output, errors = run("check issuer.yaml", "WEB_KEY=sk-web-key")
        assert.same({ 1, "" }, { status, output })
        assert.is_truthy(errors:find("^issuer.yaml: auth.jwt%[0%].jwks_file: "), errors)
    end)

    it("prints the JSON Schema", function()
        local status, output, errors = run("schema")
        assert.same({ 0, "" }, { status, errors })
        assert.equals(require("sluice.config.json_schema").json_schema(), output)
    end)

    it("prints its version, which is the package's", function()
        local status, output = run("--version")
        local version = command.output_of("cat package.json"):match("\"version\": \"([^\"]+)\"")
        assert.same({ 0, "sluice " .. version .. "\n" }, { status, output })
    end)

    for _, arguments in ipairs({ "--help", "check --help", "schema --help", "lexicon --help",
        "lexicon build --help", "lexicon test --help", "key --help", "key new --help", "token --help",
        "token mint --help" }) do
        it("helps with " .. arguments, function()
            local status, output, errors = run(arguments)
            assert.same({ 0, "" }, { status, errors })
            assert.is_truthy(output:find("^Usage: sluice"))
        end)
    end

    for _, arguments in ipairs({ "", "bogus", "check", "check a b", "check --bogus a", "key", "key new", "key new --tenant 'a b'",
        "key new --tenant a --id \"$(printf 'x\\ny')\"", "token mint --issuer a", "--bogus", "lexicon", "lexicon build",
        "lexicon build a --separators none", "lexicon test a" }) do
        it("ends with 2 when it is called as " .. ("%q"):format(arguments), function()
            local status, output, errors = run(arguments)
            assert.equals(2, status)
            assert.equals("", output)
            assert.is_truthy(errors:find("^sluice: "), errors)
        end)
    end

    it("finds its code through a link, from elsewhere, and below share", function()
        local link = folder .. "/elsewhere"
        os.execute(("ln -s '%s/bin/sluice' '%s'"):format(folder, link))
        assert.equals("0", command.output_of("cd / && env -u LUA_PATH '" .. link .. "' --version >/dev/null 2>&1; printf %s $?"))
        os.execute(("mkdir -p '%s/share/sluice' && mv '%s/dist/lua' '%s/share/sluice/lua'"):format(folder, folder, folder))
        assert.equals(0, (run("--version")))
        os.execute(("mv '%s/share/sluice/lua' '%s/code'"):format(folder, folder))
        assert.equals(0, (run("--version", "SLUICE_LUA='" .. folder .. "/code'")))
    end)

    it("tells what is missing when there is no LuaJIT", function()
        local status, _, errors = run("--version", "LUAJIT=/nowhere/luajit")
        assert.is_true(status ~= 0)
        assert.is_true(#errors > 0)
    end)
end)
