#!/bin/sh
# Gives every role its password, and every service a database of its own in which it may use rows and change
# no table. Safe to run again: it sets what is there to what it should be.
#
# PGHOST, PGUSER              the server and its superuser
# SUPERUSER_PASSWORD_FILE     file with the superuser's password
# ROLE_PASSWORDS              folder with one file per role, named after the role, holding its password
set -eu

PGPASSWORD=$(cat "$SUPERUSER_PASSWORD_FILE")
export PGPASSWORD PGDATABASE=postgres
here=$(dirname "$0")

for password_file in "$ROLE_PASSWORDS"/*; do
    role=$(basename "$password_file")
    export password_file
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=role="$role" --file="$here/role.sql"
done

for password_file in "$ROLE_PASSWORDS"/*; do
    service=$(basename "$password_file")
    if [ "$service" != snowrail_owner ]; then
        psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=service="$service" --file="$here/database.sql"
    fi
done
