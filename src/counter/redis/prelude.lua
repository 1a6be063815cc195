-- Before every script; the keys are sorted sets.
-- A set is trusted if it holds this mark: it was built in this run of the server. A server that
-- starts again may have lost the last second, and another that takes its place more: neither trusts
-- what was built before.
-- It is so short that a set of few members stays in the encoding of few bytes, with a builder's token, too.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local mark = '!' .. string.sub(run, 1, 16)
