/* test_queries.c - answers of statements: each change is noticed, whatever way it is made; what cannot be kept is not. Everything that is
 * given is compared with what a connection without the cache reads. */
#include "support/test.h"

#include <acre/sqlite_queries.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 4096 };

typedef struct bench {
    char path[64], second_path[80];
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    sqlite3 *db, *other, *plain; /* attached, attached, not attached */
    acre_sqlite_connection *connection, *other_connection;
    bool has_no_foreign_writers;
    const char *mode;
} bench;

static const char *const modes[] = {"wal", "delete", "truncate", "persist", "memory", "off"};
enum { MODES = sizeof modes / sizeof modes[0] };

static const char schema[] =
    "create table a(id integer primary key, v); create table b(id integer primary key, a references a on delete cascade on update cascade, "
    "v);"
    "create table c(k text primary key, v) without rowid; create table d(id integer primary key, v unique); create table e(v);"
    "create table log(n); create trigger ta after insert on a begin insert into log values(new.id); end;"
    "create view va as select v, id from a; create view vc as select * from c;"
    "create trigger tvc instead of insert on vc begin insert into c values(new.k, new.v); end;"
    "create table g(id integer primary key autoincrement, v, twice as (v * 2)); create index gv on g(v) where v > 1;"
    "insert into a values(1,'one'),(2,'two'),(3,'three'); insert into b values(1,1,'b1'),(2,2,'b2'); insert into c values('x',1),('y',2);"
    "insert into d values(1,10),(2,20); insert into e values('e'); insert into g(v) values(5),(6)";

static void run_plainly(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    run_plainly(db, "pragma foreign_keys = on; pragma synchronous = off");
    return db;
}

static void remove_files(const bench *self)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[120];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%s%s", self->path, ends[i]);
        unlink(name);
        snprintf(name, sizeof name, "%s%s", self->second_path, ends[i]);
        unlink(name);
    }
}

static void set_up(bench *self, const char *mode, bool has_no_foreign_writers)
{
    char sql[64];
    *self = (bench){.mode = mode, .has_no_foreign_writers = has_no_foreign_writers};
    snprintf(self->path, sizeof self->path, "/tmp/acre-test-queries-%d", (int)getpid());
    snprintf(self->second_path, sizeof self->second_path, "%s-second", self->path);
    remove_files(self);
    self->db = open_database(self->path);
    snprintf(sql, sizeof sql, "pragma journal_mode = %s", mode);
    run_plainly(self->db, sql);
    run_plainly(self->db, schema);
    self->other = open_database(self->path);
    run_plainly(self->other, sql);
    self->plain = open_database(self->path);
    run_plainly(self->plain, sql);
    assert_int_equal(acre_query_cache_open(&self->cache, &(acre_query_cache_options){.bytes_max = 4 << 20}), ACRE_OK);
    const acre_sqlite_queries_options options = {.cache = self->cache, .has_no_foreign_writers = has_no_foreign_writers};
    assert_int_equal(acre_sqlite_queries_open(&self->queries, &options), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(self->queries, self->db, NULL, &self->connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(self->queries, self->other, NULL, &self->other_connection), ACRE_OK);
}

static void tear_down(bench *self)
{
    assert_int_equal(acre_sqlite_detach(self->connection), ACRE_OK);
    assert_int_equal(acre_sqlite_detach(self->other_connection), ACRE_OK);
    assert_int_equal(sqlite3_close(self->db), SQLITE_OK);
    assert_int_equal(sqlite3_close(self->other), SQLITE_OK);
    assert_int_equal(sqlite3_close(self->plain), SQLITE_OK);
    acre_sqlite_queries_close(self->queries);
    assert_true(acre_query_cache_is_valid(self->cache));
    acre_query_cache_close(self->cache);
    remove_files(self);
}

/* --- asking --- */

static void add_text(char *text, const char *more, size_t bytes)
{
    const size_t length = strlen(text);
    assert_true(length + bytes + 2 < TEXT_MAX);
    memcpy(text + length, more, bytes);
    memcpy(text + length + bytes, "|", 2);
}

static void write_answer(const acre_sqlite_answer *answer, char *text)
{
    char number[40];
    *text = 0;
    for (uint32_t i = 0; i < answer->column_count; i++)
        add_text(text, acre_sqlite_answer_name(answer, i), strlen(acre_sqlite_answer_name(answer, i)));
    for (uint32_t row = 0; row < answer->row_count; row++) {
        for (uint32_t column = 0; column < answer->column_count; column++) {
            const acre_sqlite_value value = acre_sqlite_answer_value(answer, row, column);
            switch (value.type) {
            case ACRE_SQLITE_INTEGER:
                add_text(text, number, (size_t)snprintf(number, sizeof number, "%lld", (long long)value.integer));
                break;
            case ACRE_SQLITE_REAL:
                add_text(text, number, (size_t)snprintf(number, sizeof number, "%.17g", value.real));
                break;
            case ACRE_SQLITE_NULL:
                add_text(text, "NULL", 4);
                break;
            default:
                assert_int_equal(((const char *)value.data)[value.bytes], 0);
                add_text(text, value.data, strlen(value.data));
            }
        }
    }
}

static void write_plain_answer(sqlite3 *db, const char *sql, char *text)
{
    sqlite3_stmt *asked;
    char number[40];
    *text = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &asked, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int status = sqlite3_step(asked);
    const int columns = sqlite3_column_count(asked); /* of the schema that it was compiled with at last */
    for (int i = 0; i < columns; i++) add_text(text, sqlite3_column_name(asked, i), strlen(sqlite3_column_name(asked, i)));
    for (; status == SQLITE_ROW; status = sqlite3_step(asked)) {
        for (int i = 0; i < columns; i++) {
            const char *value = (const char *)sqlite3_column_text(asked, i);
            if (sqlite3_column_type(asked, i) == SQLITE_FLOAT) {
                snprintf(number, sizeof number, "%.17g", sqlite3_column_double(asked, i));
                value = number;
            }
            if (value == NULL) value = "NULL";
            add_text(text, value, strlen(value));
        }
    }
    assert_int_equal(status, SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(asked), SQLITE_OK);
}

static acre_query_outcome ask(acre_sqlite_connection *connection, sqlite3 *db, const char *sql, char *text)
{
    acre_sqlite_answer answer;
    const int status = acre_sqlite_query(connection, sql, NULL, 0, NULL, &answer);
    if (status != SQLITE_OK) fail_msg("%s: %d %s", sql, status, sqlite3_errmsg(db));
    write_answer(&answer, text);
    const acre_query_outcome outcome = answer.outcome;
    acre_sqlite_answer_close(&answer);
    return outcome;
}

/* Asks, and compares with what a connection without the cache sees. */
static acre_query_outcome ask_rightly(bench *self, const char *sql)
{
    char given[TEXT_MAX], right[TEXT_MAX];
    const acre_query_outcome outcome = ask(self->connection, self->db, sql, given);
    write_plain_answer(self->plain, sql, right);
    if (strcmp(given, right) != 0) fail_msg("mode %s: %s: '%s', and not '%s' (%d)", self->mode, sql, given, right, (int)outcome);
    return outcome;
}

static void keep(bench *self, const char *sql)
{
    for (int i = 0; i < 5; i++)
        if (ask_rightly(self, sql) == ACRE_QUERY_HIT) return;
    fail_msg("mode %s: '%s' is not kept", self->mode, sql);
}

static void is_kept_still(bench *self, const char *sql)
{
    if (ask_rightly(self, sql) != ACRE_QUERY_HIT) fail_msg("mode %s: '%s' is not kept any more", self->mode, sql);
}

static void is_not_given(bench *self, const char *sql)
{
    if (ask_rightly(self, sql) == ACRE_QUERY_HIT) fail_msg("mode %s: '%s' is given from the cache", self->mode, sql);
}

/* Not compared: the answer may be another one each time. */
static void is_never_kept(bench *self, const char *sql)
{
    char text[TEXT_MAX];
    for (int i = 0; i < 4; i++)
        if (ask(self->connection, self->db, sql, text) == ACRE_QUERY_HIT) fail_msg("mode %s: '%s' is kept", self->mode, sql);
}

static const char *const tables[] = {"select * from a",
                                     "select * from b",
                                     "select * from c",
                                     "select * from d",
                                     "select * from log",
                                     "select * from va",
                                     "select * from vc",
                                     "select count(*) from a",
                                     "select *, twice from g where v > 1",
                                     "select a.v, (select count(*) from b where b.a = a.id and exists (select 1 from d)) from a"};
enum { TABLES = sizeof tables / sizeof tables[0] };
static const char untouched[] = "select * from e";

static void keep_all(bench *self)
{
    for (int i = 0; i < TABLES; i++) keep(self, tables[i]);
    keep(self, untouched);
}

static void all_are_right(bench *self)
{
    for (int i = 0; i < TABLES; i++) (void)ask_rightly(self, tables[i]);
    (void)ask_rightly(self, untouched);
}

/* --- writing --- */

static void write_through(bench *self, const char *sql)
{
    char text[TEXT_MAX];
    (void)ask(self->connection, self->db, sql, text);
}

static void write_beside(bench *self, const char *sql) { run_plainly(self->db, sql); }
static void write_by_the_other(bench *self, const char *sql) { run_plainly(self->other, sql); }

static void write_by_the_other_through(bench *self, const char *sql)
{
    char text[TEXT_MAX];
    (void)ask(self->other_connection, self->other, sql, text);
}

static void write_in_a_transaction(bench *self, const char *sql)
{
    char text[TEXT_MAX];
    run_plainly(self->other, "begin; savepoint s; insert into e values('never'); rollback to s");
    (void)ask(self->other_connection, self->other, sql, text);
    all_are_right(self); /* nobody sees it yet */
    run_plainly(self->other, "release s; commit");
}

static void write_in_an_own_transaction(bench *self, const char *sql)
{
    char text[TEXT_MAX], right[TEXT_MAX];
    run_plainly(self->db, "begin immediate");
    write_beside(self, sql);
    for (int i = 0; i < TABLES; i++) { /* this connection sees it */
        assert_int_not_equal(ask(self->connection, self->db, tables[i], text), ACRE_QUERY_HIT);
        write_plain_answer(self->db, tables[i], right);
        assert_string_equal(text, right);
    }
    run_plainly(self->db, "commit");
}

static void write_step_by_step(bench *self, const char *sql)
{
    sqlite3_stmt *prepared;
    assert_int_equal(sqlite3_prepare_v2(self->other, sql, -1, &prepared, NULL), SQLITE_OK);
    all_are_right(self);
    int status;
    while ((status = sqlite3_step(prepared)) == SQLITE_ROW) continue;
    assert_int_equal(status, SQLITE_DONE);
    all_are_right(self);
    assert_int_equal(sqlite3_finalize(prepared), SQLITE_OK);
}

/* Reset when the first row has come: the commit is done by sqlite3_reset, and no event tells its end. */
static void write_and_reset(bench *self, const char *sql)
{
    sqlite3_stmt *prepared;
    assert_int_equal(sqlite3_prepare_v2(self->other, sql, -1, &prepared, NULL), SQLITE_OK);
    (void)sqlite3_step(prepared);
    assert_int_equal(sqlite3_reset(prepared), SQLITE_OK);
    all_are_right(self);
    assert_int_equal(sqlite3_finalize(prepared), SQLITE_OK);
}

static void write_by_a_stranger(bench *self, const char *sql) { run_plainly(self->plain, sql); }

static void write_by_another_process(bench *self, const char *sql)
{
    char program[400];
    snprintf(program, sizeof program, "sqlite3 -batch '%s' \"pragma foreign_keys = on; pragma busy_timeout = 10000; %s\" > /dev/null",
             self->path, sql);
    assert_int_equal(system(program), 0);
}

static const struct {
    void (*write)(bench *, const char *);
    bool is_foreign, keeps_the_rest;
} ways[] = {
    {write_through, false, true},           {write_beside, false, true},
    {write_by_the_other, false, true},      {write_by_the_other_through, false, true},
    {write_in_a_transaction, false, false}, {write_in_an_own_transaction, false, true},
    {write_step_by_step, false, true},      {write_and_reset, false, false},
    {write_by_a_stranger, true, false},     {write_by_another_process, true, false},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static const char *const writes[] = {
    "insert into a values(4, 'four')",                                    /* and a trigger */
    "update a set v = v || '!' where id = 2",                             /* read through a view */
    "update a set id = 7 where id = 1",                                   /* a cascade */
    "delete from a where id = 2",                                         /* another one */
    "insert into b values(3, 3, 'b3') returning id, v",                   /* rows */
    "update c set v = v + 1",                                             /* without rowid */
    "delete from c",                                                      /* all of it, without the update hook */
    "insert into vc values('z', 3)",                                      /* instead of */
    "insert into d values(9, 10) on conflict(v) do update set v = v + 5", /* upsert */
    "replace into d values(2, 15)",                                       /* takes a row away */
    "delete from d",                                                      /* all of it */
    "insert into g(v) values(1), (9)",                                    /* autoincrement, generated column, partial index */
    "with x(i) as (select 1 union all select i + 1 from x where i < 3) insert into log select i from x returning n",
    "update d set v = v + (select count(*) from a)", /* perhaps nothing */
    "update g set v = 11 where v = 777",             /* nothing */
};
enum { WRITES = sizeof writes / sizeof writes[0] };

static void write_all_ways(const char *mode, bool has_no_foreign_writers)
{
    for (int way = 0; way < WAYS; way++) {
        bench self;
        if (ways[way].is_foreign && has_no_foreign_writers) continue;
        set_up(&self, mode, has_no_foreign_writers);
        keep_all(&self);
        run_plainly(self.other, "update e set v = v"); /* the first one: it is not known who has written before */
        run_plainly(self.db, "update e set v = v");
        for (int i = 0; i < WRITES; i++) {
            keep_all(&self);
            ways[way].write(&self, writes[i]);
            if (ways[way].keeps_the_rest && ask_rightly(&self, untouched) != ACRE_QUERY_HIT)
                fail_msg("mode %s, way %d: '%s' makes another table's answer old", mode, way, writes[i]);
            all_are_right(&self);
            all_are_right(&self);
        }
        tear_down(&self);
    }
}

static void every_change_is_noticed_in_every_way(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) write_all_ways(modes[mode], false);
    write_all_ways("wal", true);
    write_all_ways("delete", true);
}

/* --- what is not kept --- */

static void what_may_change_by_itself_is_never_kept(void **state)
{
    static const char *const never[] = {
        "select random()",
        "select hex(randomblob(4)), v from a",
        "select date('now')",
        "select datetime()",
        "select current_timestamp, * from a",
        "select unixepoch('now')",
        "select strftime('%s', v) from a",
        "select julianday('now')",
        "select changes(), total_changes(), last_insert_rowid()",
        "select * from sqlite_schema",
        "select * from sqlite_master",
        "select * from sqlite_sequence",
        "select * from sqlite_temp_schema",
        "select * from pragma_user_version",
        "select * from json_each('[1,2]')",
        "pragma user_version",
        "pragma table_info(a)",
        "explain select * from a",
        "explain query plan select * from a",
        "select * from (select v from a where v > (select random()))",
        "with x as (select current_time as t from a) select count(t) from x",
        "select sqlite_version()",
    };
    bench self;
    (void)state;
    set_up(&self, "wal", false);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) is_never_kept(&self, never[i]);
    run_plainly(self.db, "create view vr as select random() as r, v from a");
    is_never_kept(&self, "select v from vr");
    is_never_kept(&self, "select count(*), max(r) from vr");
    keep(&self, "select v from va");
    tear_down(&self);
}

static void what_sqlite_computes_alike_each_time_is_kept(void **state)
{
    static const char *const kept[] = {
        "select count(*), sum(id), avg(id), min(v), max(v), group_concat(v), total(id) from a",
        "select row_number() over (order by id), lag(v) over (order by id), sum(id) over (partition by v) from a",
        "select upper(v), coalesce(v, 1), iif(id > 1, 2, 3), likely(id), typeof(v), json_extract('[1,2]', '$[1]'), v like 'o%' from a",
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select sum(i), (select count(*) from a) from n",
        "select a.v, b.v from a left join b on b.a = a.id order by 1 collate nocase",
        "select 1.5e300, -9223372036854775807 - 1, x'00ff' is null, NULL, 'a' || 'b', 0.1",
        "select * from a where 0",
        "select * from a; -- and a comment",
    };
    bench self;
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        set_up(&self, modes[mode], false);
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) keep(&self, kept[i]);
        tear_down(&self);
    }
}

static void temporary_tables_and_what_hides_behind_them(void **state)
{
    bench self;
    char text[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    keep(&self, "select * from e");
    run_plainly(self.db, "create temp table f(v); insert into f values('f')");
    is_never_kept(&self, "select * from f");
    is_never_kept(&self, "select * from e, f");
    keep(&self, "select * from e");
    run_plainly(self.db, "create temp table e(v); insert into temp.e values('temporary')"); /* hides the one that an answer is kept of */
    is_never_kept(&self, "select * from e");
    (void)ask(self.connection, self.db, "select * from e", text);
    assert_string_equal(text, "v|temporary|");
    run_plainly(self.db, "drop table temp.e");
    keep(&self, "select * from e");
    run_plainly(self.db, "begin; create temp table e(v)");
    (void)ask(self.connection, self.db, "select * from e", text);
    assert_string_equal(text, "v|");
    run_plainly(self.db, "rollback");
    keep(&self, "select * from e");
    run_plainly(self.db, "create temp view e as select 'view' as v");
    is_never_kept(&self, "select * from e");
    (void)ask(self.connection, self.db, "select * from e", text);
    assert_string_equal(text, "v|view|");
    run_plainly(self.db, "drop view temp.e");
    keep(&self, "select * from e");
    run_plainly(self.db, "create temp trigger tt after insert on e begin insert into d values(77, 77); end");
    keep_all(&self);
    run_plainly(self.db, "insert into e values('e2')"); /* and writes into d */
    is_not_given(&self, "select * from d");
    all_are_right(&self);
    tear_down(&self);
}

static void double_it(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_int64(context, sqlite3_value_int64(values[0]) * 2);
}

static int compare_backwards(void *context, int left_bytes, const void *left, int right_bytes, const void *right)
{
    (void)context;
    const int order = memcmp(right, left, (size_t)(left_bytes < right_bytes ? left_bytes : right_bytes));
    return order != 0 ? order : right_bytes - left_bytes;
}

static void functions_of_the_program(void **state)
{
    bench self;
    (void)state;
    set_up(&self, "wal", false);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    sqlite3 *const dbs[] = {self.db, self.plain};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_create_function(dbs[i], "doubled", 1, flags, NULL, double_it, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_create_function(dbs[i], "unsure", 1, SQLITE_UTF8, NULL, double_it, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_create_function(dbs[i], "abs", 1, flags, NULL, double_it, NULL, NULL), SQLITE_OK);
    }
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    is_never_kept(&self, "select doubled(id) from a");
    is_never_kept(&self, "select unsure(id) from a");
    is_never_kept(&self, "select abs(id) from a"); /* not SQLite's any more */
    keep(&self, "select upper(v) from a");
    run_plainly(self.db, "pragma case_sensitive_like = on"); /* makes like one that is not SQLite's own */
    is_never_kept(&self, "select v like 'ONE' from a");
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, &(acre_sqlite_attachment){.dialect = 7}, &self.connection), ACRE_OK);
    keep(&self, "select doubled(id) from a");
    keep(&self, "select abs(id) from a");
    is_never_kept(&self, "select unsure(id) from a");
    is_never_kept(&self, "select date('now'), doubled(id) from a");
    char text[TEXT_MAX];
    (void)ask(self.other_connection, self.other, "select abs(id) from a", text); /* of no dialect: another answer */
    assert_string_equal(text, "abs(id)|1|2|3|");
    tear_down(&self);

    set_up(&self, "wal", false);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    assert_int_equal(sqlite3_create_collation(self.db, "backwards", SQLITE_UTF8, NULL, compare_backwards), SQLITE_OK);
    assert_int_equal(sqlite3_create_collation(self.plain, "backwards", SQLITE_UTF8, NULL, compare_backwards), SQLITE_OK);
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    is_never_kept(&self, "select v from a order by v collate backwards");
    is_never_kept(&self, "select v from a order by v");
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, &(acre_sqlite_attachment){.dialect = 8}, &self.connection), ACRE_OK);
    keep(&self, "select v from a order by v collate backwards");
    tear_down(&self);
}

static int asked_status;

static void ask_within(sqlite3_context *context, int count, sqlite3_value **values)
{
    acre_sqlite_connection *const connection = sqlite3_user_data(context);
    acre_sqlite_answer answer;
    (void)count;
    asked_status = acre_sqlite_query(connection, (const char *)sqlite3_value_text(values[0]), NULL, 0, NULL, &answer);
    sqlite3_result_int64(context, acre_sqlite_answer_value(&answer, 0, 0).integer);
    acre_sqlite_answer_close(&answer);
}

static void functions_may_ask(void **state)
{
    static const char again[] = "select ask('select ask(''select 1'')')",
                      itself[] = "select ask(x) from (select 'select count(*) from d' as x union all select v from e)";
    bench self;
    char text[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    assert_int_equal(sqlite3_create_function(self.db, "ask", 1, SQLITE_UTF8, self.connection, ask_within, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(ask(self.connection, self.db, "select ask('select count(*) from d')", text), ACRE_QUERY_HIT);
        assert_string_equal(text, "ask('select count(*) from d')|2|");
        assert_int_equal(asked_status, SQLITE_OK);
        (void)ask(self.connection, self.db, "select ask('insert into d(v) values(' || max(v) || ' + 1)') from d",
                  text); /* a write within a reader */
        assert_int_equal(asked_status, SQLITE_OK);
        run_plainly(self.db, "delete from d where v > 20");
        all_are_right(&self);
    }
    (void)ask(self.connection, self.db, again, text);
    assert_int_equal(asked_status, SQLITE_OK);
    char sql[200];
    snprintf(sql, sizeof sql, "update e set v = '%s'",
             "select ask(x) from (select ''select count(*) from d'' as x union all select v from e)");
    run_plainly(self.db, sql);
    (void)ask(self.connection, self.db, itself, text); /* the second row asks for the statement itself */
    assert_int_equal(asked_status, SQLITE_BUSY);
    tear_down(&self);
}

static void another_image_takes_the_place_of_a_database(void **state)
{
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    acre_sqlite_connection *connection;
    sqlite3 *db = open_database(":memory:"), *other = open_database(":memory:");
    sqlite3_int64 bytes;
    char text[TEXT_MAX];
    (void)state;
    assert_int_equal(acre_query_cache_open(&cache, &(acre_query_cache_options){.bytes_max = 1 << 20}), ACRE_OK);
    assert_int_equal(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(queries, db, NULL, &connection), ACRE_OK);
    run_plainly(db, "create table t(v); insert into t values('old')");
    run_plainly(other, "create table t(v); insert into t values('new')");
    for (int i = 0; i < 3; i++) (void)ask(connection, db, "select v from t", text);
    assert_string_equal(text, "v|old|");
    unsigned char *const image = sqlite3_serialize(other, "main", &bytes, 0);
    assert_non_null(image);
    assert_int_equal(sqlite3_deserialize(db, "main", image, bytes, bytes, SQLITE_DESERIALIZE_FREEONCLOSE), SQLITE_OK);
    for (int i = 0; i < 3; i++) {
        (void)ask(connection, db, "select v from t", text);
        assert_string_equal(text, "v|new|");
    }
    assert_int_equal(acre_sqlite_detach(connection), ACRE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    acre_sqlite_queries_close(queries);
    acre_query_cache_close(cache);
}

static void virtual_tables_are_never_kept_and_their_writes_are_noticed(void **state)
{
    bench self;
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        set_up(&self, modes[mode], false);
        run_plainly(self.db, "create virtual table f using fts5(v); insert into f values('one two'), ('three')");
        is_never_kept(&self, "select * from f where f match 'one'");
        keep(&self, "select id, c0 from f_content");
        run_plainly(self.db, "insert into f values('four')");
        is_not_given(&self, "select id, c0 from f_content");
        keep(&self, "select count(*) from f_content");
        run_plainly(self.other, "begin; insert into f values('five'); insert into e values(1); commit");
        is_not_given(&self, "select count(*) from f_content");
        keep(&self, "select count(*) from f_data");
        run_plainly(self.other, "insert into f(f) values('optimize')");
        (void)ask_rightly(&self, "select count(*) from f_data");
        all_are_right(&self);
        tear_down(&self);
    }
}

/* --- transactions --- */

static void a_transaction_sees_its_own_snapshot(void **state)
{
    bench self;
    char text[TEXT_MAX], before[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    keep(&self, "select * from a");
    run_plainly(self.db, "begin");
    (void)ask(self.connection, self.db, "select * from a", before);
    run_plainly(self.other, "insert into a values(50, 'later')");
    assert_int_not_equal(ask(self.connection, self.db, "select * from a", text), ACRE_QUERY_HIT);
    assert_string_equal(text, before);
    (void)ask(self.other_connection, self.other, "select * from a", text);
    assert_string_not_equal(text, before);
    run_plainly(self.db, "commit");
    (void)ask_rightly(&self, "select * from a");

    sqlite3_stmt *open; /* a statement that is being read holds a snapshot, too */
    keep(&self, "select * from a");
    assert_int_equal(sqlite3_prepare_v2(self.db, "select * from a", -1, &open, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(open), SQLITE_ROW);
    (void)ask(self.connection, self.db, "select * from a", before);
    run_plainly(self.other, "insert into a values(51, 'later')");
    (void)ask(self.other_connection, self.other, "select * from a", text);
    (void)ask(self.other_connection, self.other, "select * from a", text);
    assert_int_not_equal(ask(self.connection, self.db, "select * from a", text), ACRE_QUERY_HIT);
    assert_string_equal(text, before);
    assert_int_equal(sqlite3_finalize(open), SQLITE_OK);
    (void)ask_rightly(&self, "select * from a");
    tear_down(&self);
}

static void a_rollback_leaves_answers(void **state)
{
    bench self;
    (void)state;
    for (int mode = 0; mode < MODES - 1; mode++) {
        set_up(&self, modes[mode], false);
        keep_all(&self);
        run_plainly(self.other, "begin; delete from a; update c set v = 0");
        all_are_right(&self);
        run_plainly(self.other, "rollback");
        for (int i = 0; i < TABLES; i++) is_kept_still(&self, tables[i]);
        assert_int_not_equal(sqlite3_exec(self.other, "insert or rollback into d values(5, 10)", NULL, NULL, NULL), SQLITE_OK);
        assert_int_not_equal(sqlite3_exec(self.other, "insert into a values(60, 'x'), (1, 'again')", NULL, NULL, NULL), SQLITE_OK);
        all_are_right(&self);
        run_plainly(self.other, "begin; insert into a values(61, 'x'); savepoint s; delete from c; rollback to s; release s; commit");
        is_not_given(&self, "select * from a");
        all_are_right(&self);
        run_plainly(self.other, "savepoint outer_one; update e set v = 'saved'; release outer_one");
        is_not_given(&self, untouched);
        tear_down(&self);
    }
}

static void a_commit_that_fails_is_no_commit(void **state)
{
    bench self;
    (void)state;
    set_up(&self, "delete", false);
    sqlite3_busy_timeout(self.other, 1);
    keep_all(&self);
    sqlite3_stmt *reader;
    assert_int_equal(sqlite3_prepare_v2(self.plain, "select * from e", -1, &reader, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(reader), SQLITE_ROW);
    run_plainly(self.other, "begin; delete from d");
    assert_int_equal(sqlite3_exec(self.other, "commit", NULL, NULL, NULL), SQLITE_BUSY);
    char text[TEXT_MAX];
    assert_int_equal(ask(self.connection, self.db, "select * from a", text), ACRE_QUERY_HIT); /* where SQLite would say BUSY */
    for (int i = 0; i < 3; i++) assert_int_equal(sqlite3_exec(self.other, "commit", NULL, NULL, NULL), SQLITE_BUSY);
    assert_int_equal(sqlite3_reset(reader), SQLITE_OK);
    run_plainly(self.other, "commit");
    assert_int_equal(sqlite3_finalize(reader), SQLITE_OK);
    is_not_given(&self, "select * from d");
    all_are_right(&self);
    tear_down(&self);
}

/* --- schema, attaching --- */

static void changes_of_the_schema_are_noticed(void **state)
{
    static const char *const changes[] = {
        "alter table a add column w default 'w'",
        "drop view va; create view va as select id, v || '?' as v from a",
        "create index av on a(v)",
        "drop table log; create table log(n, m); insert into log values(1, 2)",
        "alter table d rename to d2; create table d(id, v); insert into d values('new', 1)",
        "alter table g rename column v to value; alter table g rename column value to v",
        "vacuum",
        "analyze",
        "reindex",
        "drop trigger ta; create trigger ta after update on e begin insert into log values(99, 99); end",
        "update e set v = 'by the new trigger'",
        "create table h as select * from a; drop table h",
    };
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        for (int way = 0; way < 4; way++) {
            bench self;
            set_up(&self, modes[mode], false);
            for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
                keep_all(&self);
                (way == 0   ? write_beside
                 : way == 1 ? write_by_the_other
                 : way == 2 ? write_by_a_stranger
                            : write_by_another_process)(&self, changes[i]);
                all_are_right(&self);
                run_plainly(self.other, "update e set v = v || '.'"); /* with the trigger of this moment */
                all_are_right(&self);
                run_plainly(self.db, "begin; update d set v = v + 0; update e set v = v || ','; commit");
                all_are_right(&self);
            }
            tear_down(&self);
        }
    }
}

static void attached_databases_have_answers_of_their_own(void **state)
{
    bench self;
    char sql[200], text[TEXT_MAX];
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        set_up(&self, modes[mode], false);
        sqlite3 *const second = open_database(self.second_path);
        snprintf(sql, sizeof sql,
                 "pragma journal_mode = %s; create table e(v); create table s(v); insert into e values('2nd'); insert into s values(1)",
                 modes[1 - mode]);
        run_plainly(second, sql);
        acre_sqlite_connection *connection;
        assert_int_equal(acre_sqlite_attach(self.queries, second, NULL, &connection), ACRE_OK);
        keep(&self, untouched);
        for (int i = 0; i < 4; i++) (void)ask(connection, second, untouched, text);
        assert_string_equal(text, "v|2nd|"); /* the same text, another database */
        snprintf(sql, sizeof sql, "attach '%s' as second", self.second_path);
        run_plainly(self.db, sql);
        run_plainly(self.plain, sql);
        keep(&self, "select * from second.e");
        keep(&self, "select * from s");
        keep(&self, "select * from e, s");
        run_plainly(second, "update s set v = 2");
        is_not_given(&self, "select * from s");
        is_kept_still(&self, "select * from second.e");
        keep(&self, "select * from e, s");
        run_plainly(self.other, "update e set v = 'first'");
        is_not_given(&self, "select * from e, s");
        keep(&self, "select * from s");
        run_plainly(self.db, "begin; update second.s set v = 3; update main.e set v = 'both'; commit"); /* one commit, two files */
        is_not_given(&self, "select * from s");
        (void)ask(connection, second, "select * from s", text);
        assert_string_equal(text, "v|3|");
        keep(&self, "select * from s");
        run_plainly(self.db, "create table main.s(v)"); /* takes the place of the other one */
        run_plainly(self.plain, "select * from e");     /* hears of it, which SQLite does not see to while it compiles */
        (void)ask_rightly(&self, "select * from s");
        run_plainly(self.db, "drop table main.s");
        run_plainly(self.plain, "select * from e");
        keep(&self, "select * from s");
        run_plainly(self.db, "detach second");
        acre_sqlite_answer answer;
        assert_int_equal(acre_sqlite_query(self.connection, "select * from s", NULL, 0, NULL, &answer), SQLITE_ERROR);
        keep(&self, "select * from d");
        run_plainly(self.db, sql); /* attached, written, and gone before anything is asked */
        run_plainly(self.db, "update second.s set v = 4; detach second");
        (void)ask(connection, second, "select * from s", text);
        assert_string_equal(text, "v|4|");
        assert_int_equal(acre_sqlite_detach(connection), ACRE_OK);
        run_plainly(self.plain, "detach second");
        assert_int_equal(sqlite3_close(second), SQLITE_OK);
        tear_down(&self);
    }
}

static void another_file_of_the_same_name_is_another_one(void **state)
{
    bench self;
    char text[TEXT_MAX];
    (void)state;
    set_up(&self, "delete", false);
    keep(&self, untouched);
    assert_int_equal(unlink(self.path), 0);
    sqlite3 *const young = open_database(self.path);
    run_plainly(young, "create table e(v); insert into e values('young')");
    acre_sqlite_connection *connection;
    assert_int_equal(acre_sqlite_attach(self.queries, young, NULL, &connection), ACRE_OK);
    for (int i = 0; i < 4; i++) {
        (void)ask(connection, young, untouched, text);
        assert_string_equal(text, "v|young|");
        (void)ask(self.connection, self.db, untouched, text);
        assert_string_equal(text, "v|e|");
    }
    assert_int_equal(acre_sqlite_detach(connection), ACRE_OK);
    assert_int_equal(sqlite3_close(young), SQLITE_OK);
    tear_down(&self);
}

static void databases_in_memory_are_one_connections_alone(void **state)
{
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    sqlite3 *dbs[2];
    acre_sqlite_connection *connections[2];
    char text[TEXT_MAX], sql[100];
    (void)state;
    assert_int_equal(acre_query_cache_open(&cache, &(acre_query_cache_options){.bytes_max = 1 << 20}), ACRE_OK);
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        assert_int_equal(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache, .has_no_foreign_writers = true}),
                         ACRE_OK);
        for (int i = 0; i < 2; i++) {
            dbs[i] = open_database(is_shared ? "file:shared?mode=memory&cache=shared" : ":memory:");
            assert_int_equal(acre_sqlite_attach(queries, dbs[i], NULL, &connections[i]), ACRE_OK);
            if (i == 0 || !is_shared) {
                snprintf(sql, sizeof sql, "create table t(v); insert into t values(%d)", i);
                run_plainly(dbs[i], sql);
            }
        }
        for (int round = 0; round < 4; round++) {
            for (int i = 0; i < 2; i++) {
                for (int k = 0; k < 3; k++) {
                    const acre_query_outcome outcome = ask(connections[i], dbs[i], "select v from t", text);
                    assert_int_equal(outcome == ACRE_QUERY_HIT, k > 0);
                    snprintf(sql, sizeof sql, "v|%d|", is_shared ? round * 10 : i + round * 10);
                    assert_string_equal(text, sql);
                }
            }
            for (int i = 0; i < (is_shared ? 1 : 2); i++) run_plainly(dbs[i], "update t set v = v + 10");
        }
        if (is_shared) {
            run_plainly(dbs[1], "pragma read_uncommitted = on");
            for (int k = 0; k < 3; k++) assert_int_not_equal(ask(connections[1], dbs[1], "select v from t", text), ACRE_QUERY_HIT);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(acre_sqlite_detach(connections[i]), ACRE_OK);
            assert_int_equal(sqlite3_close(dbs[i]), SQLITE_OK);
        }
        acre_sqlite_queries_close(queries);
    }
    acre_query_cache_close(cache);
}

static void changes_that_no_statement_makes(void **state)
{
    bench self;
    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        set_up(&self, modes[mode], false);
        keep_all(&self);
        sqlite3_blob *blob;
        assert_int_equal(sqlite3_blob_open(self.other, "main", "a", "v", 1, 1, &blob), SQLITE_OK);
        assert_int_equal(sqlite3_blob_write(blob, "ONE", 3, 0), SQLITE_OK);
        assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
        is_not_given(&self, "select * from a");
        keep_all(&self);
        run_plainly(self.other, "begin; update e set v = 'blob'");
        assert_int_equal(sqlite3_blob_open(self.other, "main", "a", "v", 2, 1, &blob), SQLITE_OK);
        assert_int_equal(sqlite3_blob_write(blob, "TWO", 3, 0), SQLITE_OK);
        assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
        run_plainly(self.other, "commit");
        is_not_given(&self, "select * from a");

        sqlite3 *source; /* a backup into the file */
        keep_all(&self);
        assert_int_equal(sqlite3_open(":memory:", &source), SQLITE_OK);
        run_plainly(source, schema);
        run_plainly(source, "update e set v = 'from the backup'");
        sqlite3_backup *const backup = sqlite3_backup_init(self.other, "main", source, "main");
        assert_non_null(backup);
        assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
        assert_int_equal(sqlite3_backup_finish(backup), SQLITE_OK);
        assert_int_equal(sqlite3_close(source), SQLITE_OK);
        all_are_right(&self);
        is_not_given(&self, "select v || '' from e");
        keep_all(&self);
        acre_sqlite_changed(self.other_connection);
        is_not_given(&self, untouched);
        tear_down(&self);
    }
}

static void the_journal_mode_may_change(void **state)
{
    static const char *const to[] = {"wal", "delete", "wal", "memory", "truncate", "wal", "persist"};
    bench self;
    char sql[64];
    (void)state;
    set_up(&self, "delete", false);
    assert_int_equal(acre_sqlite_detach(self.other_connection), ACRE_OK);
    sqlite3_stmt *prepared[sizeof to / sizeof to[0]];
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        snprintf(sql, sizeof sql, "pragma journal_mode = %s", to[i]);
        assert_int_equal(sqlite3_prepare_v2(self.db, sql, -1, &prepared[i], NULL), SQLITE_OK);
    }
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        keep_all(&self);
        assert_int_equal(sqlite3_close(self.other), SQLITE_OK); /* the mode changes when nobody else has the file open */
        assert_int_equal(sqlite3_close(self.plain), SQLITE_OK);
        assert_int_equal(sqlite3_step(prepared[i]), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(prepared[i], 0), to[i]);
        assert_int_equal(sqlite3_reset(prepared[i]), SQLITE_OK);
        self.other = open_database(self.path);
        self.plain = open_database(self.path);
        keep_all(&self);
        run_plainly(self.plain, "update e set v = v || '1'");
        is_not_given(&self, untouched);
        keep_all(&self);
        run_plainly(self.db, "update e set v = v || '2'");
        is_not_given(&self, untouched);
    }
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) assert_int_equal(sqlite3_finalize(prepared[i]), SQLITE_OK);

    run_plainly(self.plain, "pragma journal_mode = wal"); /* while this one is open, and idle */
    run_plainly(self.plain, "update e set v = 'in the log'");
    (void)ask_rightly(&self, untouched);
    keep(&self, untouched);
    run_plainly(self.plain, "update e set v = 'in the log, too'");
    is_not_given(&self, untouched);
    run_plainly(self.db, "pragma locking_mode = exclusive");
    is_never_kept(&self, untouched);
    run_plainly(self.db, "pragma locking_mode = normal");
    (void)ask_rightly(&self, untouched);
    keep(&self, untouched);
    assert_int_equal(acre_sqlite_attach(self.queries, self.other, NULL, &self.other_connection), ACRE_OK);
    tear_down(&self);
}

static void checkpoints_do_not_hide_changes(void **state)
{
    static const char *const kinds[] = {"passive", "full", "restart", "truncate"};
    bench self;
    char sql[64];
    (void)state;
    set_up(&self, "wal", false);
    for (int i = 0; i < 40; i++) {
        keep_all(&self);
        run_plainly(i % 2 == 0 ? self.plain : self.other, "update e set v = v || '.'; insert into a(v) values('more')");
        snprintf(sql, sizeof sql, "pragma wal_checkpoint(%s)", kinds[i % 4]);
        if (i % 3 != 0) run_plainly(i % 5 == 0 ? self.db : self.plain, sql);
        is_not_given(&self, untouched);
        all_are_right(&self);
        if (i % 8 == 7) run_plainly(self.plain, "delete from a where id > 3; delete from log");
    }
    tear_down(&self);
}

/* A database that is locked when a connection is attached, and when a statement is looked at. */
static void a_lock_is_waited_out(void **state)
{
    bench self;
    acre_sqlite_answer answer;
    (void)state;
    set_up(&self, "delete", false);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    sqlite3_busy_timeout(self.db, 0);
    run_plainly(self.plain, "begin exclusive");
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_query(self.connection, untouched, NULL, 0, NULL, &answer), SQLITE_BUSY);
    run_plainly(self.plain, "commit");
    keep(&self, untouched);
    run_plainly(self.plain, "begin exclusive");
    assert_int_equal(acre_sqlite_query(self.connection, "select * from d", NULL, 0, NULL, &answer), SQLITE_BUSY);
    assert_int_equal(acre_sqlite_query(self.connection, "select * from d", NULL, 0, NULL, &answer), SQLITE_BUSY);
    run_plainly(self.plain, "commit");
    keep(&self, "select * from d");
    tear_down(&self);
}

/* --- callbacks, parameters, answers --- */

typedef struct heard {
    int authorized, traced, profiled, committed, rolled_back;
    bool refuses_commit, hides_v;
} heard;

static int hear_authorize(void *context, int action, const char *first, const char *second, const char *database, const char *trigger)
{
    heard *const self = context;
    (void)database;
    (void)trigger;
    self->authorized++;
    if (action == SQLITE_DELETE && strcmp(first, "e") == 0) return SQLITE_DENY;
    return self->hides_v && action == SQLITE_READ && strcmp(second, "v") == 0 ? SQLITE_IGNORE : SQLITE_OK;
}

static int hear_trace(unsigned event, void *context, void *p, void *x)
{
    heard *const self = context;
    (void)p;
    (void)x;
    self->traced += event == SQLITE_TRACE_STMT;
    self->profiled += event == SQLITE_TRACE_PROFILE;
    return 0;
}

static int hear_commit(void *context)
{
    heard *const self = context;
    self->committed++;
    return self->refuses_commit;
}

static void hear_rollback(void *context) { ((heard *)context)->rolled_back++; }

static void callbacks_of_the_program_are_called(void **state)
{
    bench self;
    heard told = {0};
    (void)state;
    set_up(&self, "wal", false);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    const acre_sqlite_attachment attachment = {.authorize = hear_authorize,
                                               .authorize_context = &told,
                                               .trace = hear_trace,
                                               .trace_context = &told,
                                               .trace_events = SQLITE_TRACE_STMT,
                                               .commit = hear_commit,
                                               .commit_context = &told,
                                               .rollback = hear_rollback,
                                               .rollback_context = &told};
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, &attachment, &self.connection), ACRE_OK);
    assert_int_equal(told.authorized + told.traced + told.committed, 0); /* nothing of what acre runs itself */
    keep(&self, untouched);
    assert_true(told.authorized > 0 && told.traced > 0 && told.profiled == 0 && told.committed == 0);
    run_plainly(self.db, "update e set v = 1");
    assert_int_equal(told.committed, 1);
    is_not_given(&self, untouched);
    keep(&self, untouched);
    told.refuses_commit = true;
    assert_int_equal(sqlite3_exec(self.db, "update e set v = 2", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(told.rolled_back, 1);
    is_kept_still(&self, untouched);
    acre_sqlite_answer answer;
    assert_int_equal(acre_sqlite_query(self.connection, "delete from e", NULL, 0, NULL, &answer), SQLITE_AUTH);
    told.hides_v = true;
    char text[TEXT_MAX];
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(ask(self.connection, self.db, "select v from e", text), ACRE_QUERY_HIT);
        assert_string_equal(text, "v|NULL|");
    }
    told.refuses_commit = false;
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    const heard before = told;
    run_plainly(self.db, "update d set v = v + 100");
    assert_true(told.authorized > before.authorized && told.traced > before.traced && told.committed > before.committed);
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    tear_down(&self);
}

static void parameters_and_their_types_are_part_of_the_question(void **state)
{
    static const char long_text[600] = "a long one";
    static const acre_sqlite_value values[] = {
        {ACRE_SQLITE_INTEGER, 0, {.integer = 1}},     {ACRE_SQLITE_REAL, 0, {.real = 1.0}},
        {ACRE_SQLITE_TEXT, 1, {.data = "1"}},         {ACRE_SQLITE_BLOB, 1, {.data = "1"}},
        {ACRE_SQLITE_NULL, 0, {.integer = 0}},        {ACRE_SQLITE_TEXT, 0, {.data = NULL}},
        {ACRE_SQLITE_BLOB, 0, {.data = NULL}},        {ACRE_SQLITE_INTEGER, 0, {.integer = INT64_MIN}},
        {ACRE_SQLITE_TEXT, 3, {.data = "1\0002"}},    {ACRE_SQLITE_TEXT, 600, {.data = long_text}},
        {ACRE_SQLITE_BLOB, 599, {.data = long_text}}, {ACRE_SQLITE_REAL, 0, {.real = 1e300}},
    };
    enum { COUNT = sizeof values / sizeof values[0] };
    static const char *const types[] = {"integer", "real", "text", "blob", "null"};
    bench self;
    acre_sqlite_answer answer;
    (void)state;
    set_up(&self, "wal", false);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(acre_sqlite_query(self.connection, "select ?1, typeof(?1), ?2", &values[i], 1, NULL, &answer), SQLITE_OK);
            assert_int_equal(answer.outcome, round == 0 ? ACRE_QUERY_MISS : ACRE_QUERY_HIT);
            assert_int_equal(answer.row_count, 1);
            assert_int_equal(answer.column_count, 3);
            const acre_sqlite_value given = acre_sqlite_answer_value(&answer, 0, 0);
            assert_int_equal(given.type, values[i].type);
            assert_int_equal(given.bytes, values[i].bytes);
            if (given.type == ACRE_SQLITE_INTEGER) assert_true(given.integer == values[i].integer);
            if (given.type == ACRE_SQLITE_REAL) assert_true(given.real == values[i].real);
            if (given.bytes > 0) assert_memory_equal(given.data, values[i].data, given.bytes);
            assert_string_equal(acre_sqlite_answer_value(&answer, 0, 1).data, types[values[i].type - 1]);
            assert_int_equal(acre_sqlite_answer_value(&answer, 0, 2).type, ACRE_SQLITE_NULL);
            assert_int_equal(acre_sqlite_answer_value(&answer, 1, 0).type, ACRE_SQLITE_NULL);
            assert_int_equal(acre_sqlite_answer_value(&answer, 0, 3).type, ACRE_SQLITE_NULL);
            assert_string_equal(acre_sqlite_answer_name(&answer, 1), "typeof(?1)");
            assert_string_equal(acre_sqlite_answer_name(&answer, 3), "");
            acre_sqlite_answer_close(&answer);
        }
    }
    tear_down(&self);
}

static void bad_arguments_are_refused(void **state)
{
    bench self;
    acre_sqlite_answer answer;
    acre_sqlite_queries *queries;
    acre_sqlite_connection *connection;
    const acre_sqlite_value values[2] = {{ACRE_SQLITE_INTEGER, 0, {.integer = 1}}, {(acre_sqlite_type)77, 0, {.integer = 1}}};
    (void)state;
    set_up(&self, "wal", false);
    assert_int_equal(acre_sqlite_queries_open(NULL, &(acre_sqlite_queries_options){.cache = self.cache}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_queries_open(&queries, NULL), ACRE_INVALID);
    assert_int_equal(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = NULL}), ACRE_INVALID);
    assert_int_equal(acre_sqlite_attach(NULL, self.plain, NULL, &connection), ACRE_INVALID);
    assert_int_equal(acre_sqlite_attach(self.queries, NULL, NULL, &connection), ACRE_INVALID);
    assert_int_equal(acre_sqlite_attach(self.queries, self.plain, NULL, NULL), ACRE_INVALID);
    run_plainly(self.plain, "begin");
    assert_int_equal(acre_sqlite_attach(self.queries, self.plain, NULL, &connection), ACRE_BUSY);
    run_plainly(self.plain, "commit");
    run_plainly(self.db, "begin immediate");
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_BUSY);
    run_plainly(self.db, "commit");
    assert_int_equal(acre_sqlite_detach(NULL), ACRE_OK);
    acre_sqlite_queries_close(NULL);
    acre_sqlite_answer_close(NULL);
    acre_sqlite_changed(NULL);
    assert_int_equal(acre_sqlite_query(NULL, "select 1", NULL, 0, NULL, &answer), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, NULL, NULL, 0, NULL, &answer), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, "select 1", NULL, 0, NULL, NULL), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, "select ?", NULL, 1, NULL, &answer), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, "select ?", values + 1, 1, NULL, &answer), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, "select ?", values, 2, NULL, &answer), SQLITE_RANGE);
    assert_int_equal(acre_sqlite_query(self.connection, "select 1; select 2", NULL, 0, NULL, &answer), SQLITE_MISUSE);
    assert_int_equal(acre_sqlite_query(self.connection, "selec", NULL, 0, NULL, &answer), SQLITE_ERROR);
    assert_non_null(strstr(sqlite3_errmsg(self.db), "syntax error"));
    assert_int_equal(acre_sqlite_query(self.connection, "insert into a values(1, 2)", NULL, 0, NULL, &answer), SQLITE_CONSTRAINT);
    assert_non_null(strstr(sqlite3_errmsg(self.db), "UNIQUE"));
    assert_int_equal(answer.row_count, 0);
    assert_int_equal(acre_sqlite_answer_value(&answer, 0, 0).type, ACRE_SQLITE_NULL);
    assert_int_equal(acre_sqlite_answer_value(NULL, 0, 0).type, ACRE_SQLITE_NULL);
    assert_int_equal(acre_sqlite_query(self.connection, " ", NULL, 0, NULL, &answer), SQLITE_OK);
    acre_sqlite_answer_close(&answer);
    acre_sqlite_answer_close(&answer);
    tear_down(&self);
}

static void wishes_are_granted(void **state)
{
    bench self;
    acre_sqlite_answer answer;
    char text[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    keep(&self, untouched);
    assert_int_equal(acre_sqlite_query(self.connection, untouched, NULL, 0, &(acre_sqlite_wishes){.is_uncached = true}, &answer),
                     SQLITE_OK);
    assert_int_equal(answer.outcome, ACRE_QUERY_BUSY);
    acre_sqlite_answer_close(&answer);
    is_kept_still(&self, untouched);
    assert_int_equal(acre_sqlite_query(self.connection, "select v from d", NULL, 0, &(acre_sqlite_wishes){.ttl_ns = 30000000}, &answer),
                     SQLITE_OK);
    acre_sqlite_answer_close(&answer);
    is_kept_still(&self, "select v from d");
    usleep(60000);
    is_not_given(&self, "select v from d");
    /* Who asks for it gets an old answer; the one whose turn it is a new one. */
    const acre_sqlite_wishes wishes = {.stale_ns = UINT64_C(10000000000)};
    run_plainly(self.other, "update e set v = 'renewed'");
    assert_int_equal(acre_sqlite_query(self.connection, untouched, NULL, 0, &wishes, &answer), SQLITE_OK);
    assert_int_equal(answer.outcome, ACRE_QUERY_MISS);
    write_answer(&answer, text);
    assert_string_equal(text, "v|renewed|");
    acre_sqlite_answer_close(&answer);
    is_kept_still(&self, untouched);
    tear_down(&self);
}

static void answers_outlive_their_connection(void **state)
{
    bench self;
    acre_sqlite_answer answers[2];
    char text[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    keep(&self, untouched);
    assert_int_equal(acre_sqlite_query(self.connection, untouched, NULL, 0, NULL, &answers[0]), SQLITE_OK);
    assert_int_equal(answers[0].outcome, ACRE_QUERY_HIT);
    assert_int_equal(acre_sqlite_query(self.connection, "pragma user_version", NULL, 0, NULL, &answers[1]), SQLITE_OK);
    run_plainly(self.db, "update e set v = 'gone'");
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    write_answer(&answers[0], text);
    assert_string_equal(text, "v|e|");
    write_answer(&answers[1], text);
    assert_string_equal(text, "user_version|0|");
    for (int i = 0; i < 2; i++) acre_sqlite_answer_close(&answers[i]);
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    tear_down(&self);
}

static void few_statements_are_kept_prepared(void **state)
{
    bench self;
    char sql[64], text[TEXT_MAX];
    (void)state;
    set_up(&self, "wal", false);
    for (int i = 0; i < 1000; i++) {
        snprintf(sql, sizeof sql, "select %d, * from e", i % 300);
        (void)ask(self.connection, self.db, sql, text);
    }
    int count = 0;
    for (sqlite3_stmt *at = sqlite3_next_stmt(self.db, NULL); at != NULL; at = sqlite3_next_stmt(self.db, at)) count++;
    assert_in_range(count, 100, 130);
    snprintf(sql, sizeof sql, "select %d, * from e", 999 % 300);
    is_kept_still(&self, sql);
    tear_down(&self);
}

/* --- memory that fails --- */

static sqlite3_mem_methods real_memory;
static uint64_t allocation_count, fails_at; /* 0: none fails */
static bool fails_on;                       /* and all that follow */

static bool must_fail_now(void)
{
    allocation_count++;
    return fails_at != 0 && (fails_on ? allocation_count >= fails_at : allocation_count == fails_at);
}

static void *take_or_fail(int bytes) { return must_fail_now() ? NULL : real_memory.xMalloc(bytes); }
static void *resize_or_fail(void *memory, int bytes) { return must_fail_now() ? NULL : real_memory.xRealloc(memory, bytes); }

static void *take_for_the_cache(void *context, size_t bytes)
{
    (void)context;
    return must_fail_now() ? NULL : malloc(bytes);
}

static void give_by_the_cache(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void use_all_of_it(bench *self)
{
    static const char long_text[400] = "a parameter that does not fit on the stack";
    static const acre_sqlite_value parameter = {ACRE_SQLITE_TEXT, 400, {.data = long_text}};
    acre_sqlite_connection *connection;
    acre_sqlite_answer answer;
    if (acre_sqlite_detach(self->connection) != ACRE_OK) return;
    self->connection = NULL;
    if (acre_sqlite_attach(self->queries, self->db, NULL, &connection) != ACRE_OK) return;
    self->connection = connection;
    (void)acre_sqlite_query(connection, "select a.v, b.v, count(*), ?1 from va a, b where a.id = b.a", &parameter, 1, NULL, &answer);
    acre_sqlite_answer_close(&answer);
    (void)acre_sqlite_query(connection, "update e set v = v || '.' returning v", NULL, 0, NULL, &answer);
    acre_sqlite_answer_close(&answer);
    (void)acre_sqlite_query(connection, untouched, NULL, 0, NULL, &answer);
    acre_sqlite_answer_close(&answer);
    (void)sqlite3_exec(self->other, "begin; update a set v = v || '.' where id = 1; update c set v = v + 1; commit", NULL, NULL, NULL);
    if (sqlite3_get_autocommit(self->other) == 0) (void)sqlite3_exec(self->other, "rollback", NULL, NULL, NULL);
    (void)sqlite3_exec(self->db, "create temp table grown(v); drop table grown", NULL, NULL, NULL);
}

static void memory_may_fail_at_every_point(void **state)
{
    bench self;
    uint64_t failures = 0;
    (void)state;
    set_up(&self, "wal", false);
    const acre_query_cache_options options = {.bytes_max = 1 << 20, .allocate = take_for_the_cache, .deallocate = give_by_the_cache};
    acre_query_cache *cache;
    acre_sqlite_queries *queries;
    assert_int_equal(acre_query_cache_open(&cache, &options), ACRE_OK);
    assert_int_equal(acre_sqlite_queries_open(&queries, &(acre_sqlite_queries_options){.cache = cache}), ACRE_OK);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_detach(self.other_connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(queries, self.db, NULL, &self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(queries, self.other, NULL, &self.other_connection), ACRE_OK);
    acre_sqlite_queries *const before = self.queries;
    sqlite3_busy_timeout(self.db, 0); /* a rollback may fail, too */
    self.queries = queries;
    for (int is_for_good = 0; is_for_good < 2; is_for_good++) {
        uint64_t step = 1;
        for (uint64_t at = 1;; at += step) {
            fails_on = is_for_good != 0;
            allocation_count = 0;
            fails_at = at;
            use_all_of_it(&self);
            const bool has_failed = allocation_count >= at;
            fails_at = 0;
            if (sqlite3_get_autocommit(self.other) == 0) run_plainly(self.other, "rollback");
            if (self.connection == NULL) assert_int_equal(acre_sqlite_attach(queries, self.db, NULL, &self.connection), ACRE_OK);
            if (at % 64 == 0) all_are_right(&self);
            (void)ask_rightly(&self, untouched);
            (void)ask_rightly(&self, "select * from a");
            (void)ask_rightly(&self, "select * from c");
            failures += has_failed;
            if (at % 64 == 0) run_plainly(self.db, "update e set v = 'e'; update a set v = 'one' where id = 1");
            if (!has_failed) break;
            if (is_for_good) step = at / 32 + 1;
        }
    }
    assert_true(failures > 500);
    keep_all(&self);
    assert_int_equal(acre_sqlite_detach(self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_detach(self.other_connection), ACRE_OK);
    acre_sqlite_queries_close(queries);
    assert_true(acre_query_cache_is_valid(cache));
    acre_query_cache_close(cache);
    self.queries = before;
    assert_int_equal(acre_sqlite_attach(self.queries, self.db, NULL, &self.connection), ACRE_OK);
    assert_int_equal(acre_sqlite_attach(self.queries, self.other, NULL, &self.other_connection), ACRE_OK);
    tear_down(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_is_noticed_in_every_way),
        cmocka_unit_test(what_may_change_by_itself_is_never_kept),
        cmocka_unit_test(what_sqlite_computes_alike_each_time_is_kept),
        cmocka_unit_test(temporary_tables_and_what_hides_behind_them),
        cmocka_unit_test(functions_of_the_program),
        cmocka_unit_test(functions_may_ask),
        cmocka_unit_test(another_image_takes_the_place_of_a_database),
        cmocka_unit_test(virtual_tables_are_never_kept_and_their_writes_are_noticed),
        cmocka_unit_test(a_transaction_sees_its_own_snapshot),
        cmocka_unit_test(a_rollback_leaves_answers),
        cmocka_unit_test(a_commit_that_fails_is_no_commit),
        cmocka_unit_test(changes_of_the_schema_are_noticed),
        cmocka_unit_test(attached_databases_have_answers_of_their_own),
        cmocka_unit_test(another_file_of_the_same_name_is_another_one),
        cmocka_unit_test(databases_in_memory_are_one_connections_alone),
        cmocka_unit_test(changes_that_no_statement_makes),
        cmocka_unit_test(the_journal_mode_may_change),
        cmocka_unit_test(checkpoints_do_not_hide_changes),
        cmocka_unit_test(a_lock_is_waited_out),
        cmocka_unit_test(callbacks_of_the_program_are_called),
        cmocka_unit_test(parameters_and_their_types_are_part_of_the_question),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(wishes_are_granted),
        cmocka_unit_test(answers_outlive_their_connection),
        cmocka_unit_test(few_statements_are_kept_prepared),
        cmocka_unit_test(memory_may_fail_at_every_point),
    };
    (void)sqlite3_config(SQLITE_CONFIG_URI, 1);
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = take_or_fail;
    memory.xRealloc = resize_or_fail;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
