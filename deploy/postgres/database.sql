-- A service's database: the owner alone changes tables, the service reads and writes rows. Variables: service.
SELECT format('CREATE DATABASE %I OWNER snowrail_owner', :'service')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service') \gexec
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"service" TO :"service";
\connect :"service"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"service";
-- Of tables to come, never of those that are there: a migration may have taken a right away on purpose.
ALTER DEFAULT PRIVILEGES FOR ROLE snowrail_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE snowrail_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO :"service";
