std = "luajit"
max_line_length = 150
include_files = { "spec/**/*.lua" }

files["spec/unit"] = { std = "+busted" }
-- The mock model server runs in nginx.
files["spec/support/mock"] = { std = "+ngx_lua" }
