local build_directory = require("sluice.auth.directory").build_directory
local identify_module = require("sluice.auth.identify")
local support = require("spec.unit.auth.support")

local credential_of, identify = identify_module.credential_of, identify_module.identify

local NOW = 1800000000
local SECRET = ("0123456789abcdef"):rep(4)

local function build(auth, tenants, fetching, files)
    local directory, problems = build_directory(auth, tenants, support.tools(files, fetching))
    assert.same({}, problems)
    return directory
end

local TENANTS = {
    { id = "acme", api_keys = { { id = "web", secret = "acme-web-key" } }, allow_ips = { "10.0.0.0/8" }, models = { "chat", "gpt-*" } },
    { id = "other", api_keys = { { id = "web", secret = "other-web-key" } } },
}

local JWT = { jwt = { { issuer = "joe", audience = "sluice", algorithms = { "HS256" }, secret = SECRET } } }

local function token(claims, secret)
    local payload = { iss = "joe", aud = "sluice", exp = NOW + 60, sub = "ann", tenant = "acme" }
    for name, value in pairs(claims or {}) do payload[name] = value end
    return support.token({ alg = "HS256" }, payload, support.hmac_signer(secret or SECRET, "sha256"))
end

local function assert_refused(code, challenge, principal, refusal)
    assert.is_nil(principal)
    assert.same({ 401, "authentication_error", code, false, challenge },
        { refusal.status, refusal.type, refusal.code, refusal.retry, refusal.authenticate })
end

local BARE = 'Bearer realm="sluice"'
local INVALID = 'Bearer realm="sluice", error="invalid_token"'
local EXPIRED = 'Bearer realm="sluice", error="invalid_token", error_description="The token has expired"'

describe("the credential", function()
    for name, case in pairs({
        ["is the bearer's"] = { "Bearer abc", nil, nil, "abc" },
        ["is the bearer's in any case of letters"] = { "bEARER abc", nil, nil, "abc" },
        ["may have blanks around it"] = { "Bearer  \t abc \t", nil, nil, "abc" },
        ["keeps blanks inside"] = { "Bearer a b", nil, nil, "a b" },
        ["needs a blank before it"] = { "Bearerabc", nil, nil, nil },
        ["isn't another scheme's"] = { "Basic YTpi", nil, nil, nil },
        ["is none where the bearer sends none"] = { "Bearer", nil, nil, nil },
        ["is none where the bearer sends blanks"] = { "Bearer   ", nil, nil, nil },
        ["is none without headers"] = { nil, nil, nil, nil },
        ["is none where headers are empty"] = { "", "", "", nil },
        ["may be x-api-key's"] = { nil, " abc ", nil, "abc" },
        ["may be api-key's"] = { nil, nil, "abc", "abc" },
        ["is the bearer's before the others"] = { "Bearer abc", "def", "ghi", "abc" },
        ["is x-api-key's before api-key's"] = { nil, "def", "ghi", "def" },
        ["is x-api-key's where Authorization has another scheme"] = { "Basic YTpi", "def", "ghi", "def" },
        ["is api-key's where the others are empty"] = { "Bearer ", " ", "ghi", "ghi" },
    }) do
        it(name, function() assert.equal(case[4], credential_of(case[1], case[2], case[3])) end)
    end
end)

describe("identifying", function()
    local directory

    before_each(function() directory = build(JWT, TENANTS) end)

    it("lets in the holder of a key", function()
        local principal, refusal = identify(directory, "acme-web-key", NOW)
        assert.is_nil(refusal)
        assert.same({ "acme", "web" }, { principal.tenant.id, principal.key })
        assert.equal("other", identify(directory, "other-web-key", NOW).tenant.id)
    end)

    it("lets nobody in without tenants", function()
        local nobody = build(nil, {})
        assert_refused("invalid_api_key", INVALID, identify(nobody, "acme-web-key", NOW))
        assert_refused("invalid_api_key", BARE, identify(nobody, nil, NOW))
    end)

    it("asks for a key where none was sent", function()
        assert_refused("invalid_api_key", BARE, identify(directory, nil, NOW))
    end)

    for _, wrong in ipairs({
        "", "acme-web-ke", "acme-web-key ", "ACME-WEB-KEY", "acme-web-key\0", ("x"):rep(512), ("x"):rep(100000), "eyJ", "a.b.c",
    }) do
        it(("refuses a key of %d bytes, %q"):format(#wrong, wrong:sub(1, 20)), function()
            assert_refused("invalid_api_key", INVALID, identify(directory, wrong, NOW))
        end)
    end

    it("lets in the bearer of a token", function()
        local principal, refusal = identify(directory, token(), NOW)
        assert.is_nil(refusal)
        assert.same({ "acme", "jwt:ann" }, { principal.tenant.id, principal.key })
        assert.equal(directory.tenants.acme, principal.tenant)
    end)

    it("takes what looks like a token for a key where there are no issuers", function()
        local no_issuers = build(nil, { { id = "acme", api_keys = { { id = "odd", secret = "eyJhbGci.x.y" } } } })
        assert.equal("odd", identify(no_issuers, "eyJhbGci.x.y", NOW).key)
        assert_refused("invalid_api_key", INVALID, identify(no_issuers, token(), NOW))
    end)

    it("refuses a token of a tenant that isn't configured", function()
        assert_refused("invalid_token", INVALID, identify(directory, token({ tenant = "nobody" }), NOW))
        assert_refused("invalid_token", INVALID, identify(directory, token({ tenant = "" }), NOW))
    end)

    it("tells an expired token from a wrong one", function()
        assert_refused("token_expired", EXPIRED, identify(directory, token({ exp = NOW - 31 }), NOW))
        assert_refused("invalid_token", INVALID, identify(directory, token({ exp = NOW - 31 }, SECRET .. "x"), NOW))
    end)

    it("verifies a token once, and refuses it when it has expired all the same", function()
        local verified = 0
        local hmac = support.reader.cryptography.hmac
        local counted = setmetatable({ hmac = function(...) verified = verified + 1 return hmac(...) end },
            { __index = support.reader.cryptography })
        directory.reader = { cryptography = counted, strict_check = support.reader.strict_check, decode = support.reader.decode }
        local text = token()
        local first = identify(directory, text, NOW)
        assert.equal(first, identify(directory, text, NOW + 50))
        assert.equal(1, verified)
        assert.equal(first, identify(directory, text, NOW + 89))
        assert_refused("token_expired", EXPIRED, identify(directory, text, NOW + 90))
        assert_refused("token_expired", EXPIRED, identify(directory, text, NOW + 91))
    end)

    it("remembers nothing about a token that was refused", function()
        local text = token({ nbf = NOW + 100, exp = NOW + 1000 })
        assert_refused("invalid_token", INVALID, identify(directory, text, NOW))
        assert.truthy(identify(directory, text, NOW + 100))
    end)

    it("doesn't take a token for another that differs in its last character", function()
        local text = token()
        assert.truthy(identify(directory, text, NOW))
        assert_refused("invalid_token", INVALID, identify(directory, text:sub(1, -2), NOW))
        assert_refused("invalid_token", INVALID, identify(directory, text .. "A", NOW))
        assert_refused("invalid_token", INVALID, identify(directory, text .. ".", NOW))
    end)

    for name, subject in pairs({
        long = ("x"):rep(125), ["with a quote"] = 'a"b', ["with a backslash"] = "a\\b", ["with a line break"] = "a\nb",
        ["in another script"] = "\228\184\173", ["that looks like a hash"] = "sha256-0",
    }) do
        it("names a subject " .. name .. " by its hash", function()
            local hash = support.reader.cryptography.sha256_hex(subject)
            assert.equal("jwt:sha256-" .. hash:sub(1, 32), identify(directory, token({ sub = subject }), NOW).key)
        end)
    end

    it("keeps a subject of 124 bytes as it is", function()
        local subject = ("x"):rep(120) .. " |~!"
        local key = identify(directory, token({ sub = subject }), NOW).key
        assert.equal("jwt:" .. subject, key)
        assert.equal(128, #key)
    end)

    it("never repeats a credential or a claim in what it says", function()
        for _, credential in ipairs({
            "canary-key", token({ tenant = "canary" }), token({ iss = "canary" }), token({ aud = "canary" }), token({ sub = { "canary" } }),
            token({ exp = 1, sub = "canary" }), support.token({ alg = "canary" }, { iss = "joe" }, function() return "canary" end),
        }) do
            local _, refusal = identify(directory, credential, NOW)
            for _, value in pairs(refusal) do
                assert.is_nil(tostring(value):find("canary", 1, true))
                assert.is_nil(tostring(value):find(credential, 1, true))
            end
        end
    end)

    it("forgets tokens when the keys that signed them are withdrawn", function()
        local old, new = support.key_pair("RSA"), support.key_pair("RSA", 2)
        local set = support.key_set(support.jwk(old, { kid = "old" }))
        local time = NOW
        local fetching = {
            fetch = function() return set end,
            now = function() return time end,
            later = function() return false end,
            new_gate = function() return { wait = function() end, open = function() end } end,
            report = function() end,
        }
        local fetched = build({
            jwt = { { issuer = "joe", audience = "sluice", algorithms = { "RS256" }, jwks_url = "https://id.example.com/keys" } },
        }, TENANTS, fetching)
        local text = support.token({ alg = "RS256", kid = "old" }, { iss = "joe", aud = "sluice", exp = NOW + 10000, tenant = "acme" },
            function(message) return old.sign(message, "RS256") end)
        assert.truthy(identify(fetched, text, time))
        set = support.key_set(support.jwk(new, { kid = "new" }))
        time = NOW + 599
        assert.truthy(identify(fetched, text, time))
        -- The tenth minute's use of a remembered token has the keys fetched again.
        time = NOW + 600
        identify(fetched, text, time)
        assert_refused("invalid_token", INVALID, identify(fetched, text, time))
    end)
end)

describe("a principal", function()
    local directory = build(JWT, TENANTS)
    local acme = identify(directory, "acme-web-key", NOW)
    local other = identify(directory, "other-web-key", NOW)

    it("may call from its tenant's networks only", function()
        assert.is_nil(identify_module.refuse_address(acme, "10.1.2.3"))
        for _, address in ipairs({ "11.0.0.1", "2001:db8::1", "unix:", "" }) do
            local refusal = identify_module.refuse_address(acme, address)
            assert.same({ 403, "permission_error", "address_not_allowed", false },
                { refusal.status, refusal.type, refusal.code, refusal.retry })
        end
    end)

    it("may call from anywhere where no networks are listed", function()
        assert.is_nil(identify_module.refuse_address(other, "11.0.0.1"))
        assert.is_nil(identify_module.refuse_address(other, "unix:"))
        local empty = build(nil, { { id = "acme", api_keys = { { id = "web", secret = "acme-web-key" } }, allow_ips = {} } })
        assert.is_nil(identify_module.refuse_address(identify(empty, "acme-web-key", NOW), "11.0.0.1"))
    end)

    it("may use its tenant's models only", function()
        assert.is_nil(identify_module.refuse_model(acme, "chat"))
        assert.is_nil(identify_module.refuse_model(acme, "gpt-4o"))
        assert.is_nil(identify_module.refuse_model(other, "anything"))
        local refusal = identify_module.refuse_model(acme, "canary")
        assert.same({ 403, "permission_error", "model_not_allowed", "model", false },
            { refusal.status, refusal.type, refusal.code, refusal.param, refusal.retry })
        assert.is_nil(refusal.message:find("canary", 1, true))
    end)
end)

teardown(support.clean)

describe("an issuer that is held to its tenants", function()
    local LOCAL = {
        jwt = {
            { issuer = "joe", audience = "sluice", algorithms = { "HS256" }, secret = SECRET, tenants = { "acme" } },
            { issuer = "jim", audience = "sluice", algorithms = { "HS256" }, secret = SECRET, tenants = { "other", "acme" } },
            { issuer = "any", audience = "sluice", algorithms = { "HS256" }, secret = SECRET },
        },
    }

    it("may name those and no other", function()
        local directory = build(LOCAL, TENANTS)
        for name, fits in pairs({
            ["joe acme"] = true, ["joe other"] = false, ["jim acme"] = true, ["jim other"] = true, ["any acme"] = true, ["any other"] = true,
            ["joe nobody"] = false, ["joe "] = false, ["joe ACME"] = false,
        }) do
            local iss, tenant = name:match("^(%S+) (.*)$")
            local principal, refusal = identify(directory, token({ iss = iss, tenant = tenant }), NOW)
            if fits then
                assert.equal(tenant, principal.tenant.id, name)
            else
                assert_refused("invalid_token", INVALID, principal, refusal)
            end
        end
    end)

    it("does not learn whether another tenant exists", function()
        local directory = build(LOCAL, TENANTS)
        local _, existing = identify(directory, token({ tenant = "other" }), NOW)
        local _, missing = identify(directory, token({ tenant = "nobody" }), NOW)
        assert.same(missing, existing)
    end)

    it("is held to them again when its token comes a second time", function()
        local directory = build(LOCAL, TENANTS)
        local wrong = token({ tenant = "other" })
        for _ = 1, 3 do assert.is_nil((identify(directory, wrong, NOW))) end
    end)
end)
