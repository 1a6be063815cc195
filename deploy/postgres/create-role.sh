# What PostgreSQL's image does once, when the database is made: Tocsin has a role that owns its database
# and nothing else. The superuser has no password afterwards: it gets in from within the container alone,
# by `docker compose exec postgres psql --username=postgres`.
#
# shellcheck shell=sh
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
    --set=password="$(cat /run/secrets/postgres_password)" <<'SQL'
CREATE ROLE tocsin LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE tocsin OWNER tocsin;
REVOKE ALL ON DATABASE tocsin FROM PUBLIC;
ALTER ROLE postgres PASSWORD NULL;
SQL
