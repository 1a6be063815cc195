-- The exporter's role: it reads statistics of all sessions and databases, and no rows of tables. Without pg_monitor the
-- sessions of others have no state, and rules about them never fire.
CREATE ROLE prometheus LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 5;
GRANT pg_monitor TO prometheus;
