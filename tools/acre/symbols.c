/* symbols.c - see symbols.h. */
#include "symbols.h"
#include "command.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INLINE_DEPTH_MAX = 16 };

typedef struct resolved {
    uint64_t address; /* 0: free */
    symbol_frame *frames;
    size_t count;
} resolved;

typedef struct function_entry {
    uint64_t begin, end;
    const char *name; /* elfutils' own memory */
} function_entry;

typedef struct unit_range {
    uint64_t begin, end;
    Dwarf_Die *unit;
} unit_range;

/* What elfutils lacks: the functions in a module's symbol table by address (it looks through all of them each time), and the
 * compilation units by address where the compiler wrote no .debug_aranges, as clang and rustc do not. */
typedef struct module_index {
    Dwfl_Module *module;
    function_entry *entries;
    size_t count;
    unit_range *ranges;
    size_t range_count;
    bool has_ranges; /* they have been looked for */
    Dwarf_Addr bias; /* of the ranges */
} module_index;

struct symbols {
    const trace_process_info *info;
    Dwfl *dwfl;
    module_index *modules;
    size_t module_count, module_capacity;
    resolved *cache; /* open addressing */
    size_t slot_count, used_count;
    char **texts; /* all strings that frames point to */
    size_t text_count, text_capacity;
    char *(*demangle)(const char *, char *, size_t *, int *);
    void *demangler;
};

static const char *keep(symbols *self, char *text)
{
    self->texts = grow_array(self->texts, self->text_count, &self->text_capacity, sizeof *self->texts);
    return self->texts[self->text_count++] = text;
}

static const char *base_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* --- modules --- */

/* What is added to addresses in the file to get those in memory, from the segment that is mapped at `module`. */
static bool bias_of(const trace_module *module, uint64_t *bias)
{
    bool is_found = false;
    const int fd = open(module->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    Elf *const elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    size_t count = 0;
    if (elf != NULL && elf_getphdrnum(elf, &count) == 0) {
        for (size_t i = 0; i < count; i++) {
            GElf_Phdr header;
            if (gelf_getphdr(elf, (int)i, &header) == NULL || header.p_type != PT_LOAD) continue;
            const uint64_t begin = header.p_offset & ~UINT64_C(4095), end = header.p_offset + header.p_filesz;
            if (is_found || (header.p_flags & PF_X) == 0 || module->file_offset < begin || module->file_offset >= end) continue;
            *bias = module->begin - (header.p_vaddr & ~UINT64_C(4095)) - (module->file_offset - begin);
            is_found = true;
        }
    }
    if (elf != NULL) (void)elf_end(elf);
    close(fd);
    return is_found;
}

static void report_modules(symbols *self)
{
    dwfl_report_begin(self->dwfl);
    for (uint32_t i = 0; i < self->info->module_count; i++) {
        const trace_module *const module = &self->info->modules[i];
        uint64_t bias = 0;
        if (module->path[0] != '/' || !bias_of(module, &bias)) continue;
        (void)dwfl_report_elf(self->dwfl, base_name(module->path), module->path, -1, bias, true);
    }
    (void)dwfl_report_end(self->dwfl, NULL, NULL);
}

static const trace_module *module_at(const trace_process_info *info, uint64_t address)
{
    for (uint32_t i = info->module_count; i-- > 0;) /* later ones replace earlier ones */
        if (address >= info->modules[i].begin && address < info->modules[i].end) return &info->modules[i];
    return NULL;
}

/* --- names --- */

/* Parameters and the like make names too long for a table: what follows the outermost '(' goes. */
static void cut_parameters(char *name)
{
    static const char operator_call[] = "operator()";
    char *const call = strstr(name, operator_call);
    char *at = call != NULL ? call + strlen(operator_call) : name;
    int depth = 0;
    for (; *at != 0; at++) {
        if (*at == '<') depth++;
        if (*at == '>' && depth > 0) depth--;
        if (*at == '(' && depth == 0 && strncmp(at, "(anonymous namespace)", 21) != 0 && at != name) break;
    }
    *at = 0;
}

static const char *readable_name(symbols *self, const char *name)
{
    if (self->demangle != NULL && name[0] == '_' && name[1] == 'Z') {
        int status = 0;
        char *const plain = self->demangle(name, NULL, NULL, &status);
        if (status == 0 && plain != NULL) {
            cut_parameters(plain);
            return keep(self, plain);
        }
        free(plain);
    }
    return keep(self, must_copy(name));
}

static const char *name_of_die(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (name == NULL) name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return name != NULL ? name : dwarf_diename(die);
}

static int compare_functions(const void *left, const void *right)
{
    const function_entry *const a = left, *const b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    return strcmp(a->name, b->name);
}

static module_index *index_of(symbols *self, Dwfl_Module *module)
{
    for (size_t i = 0; i < self->module_count; i++)
        if (self->modules[i].module == module) return &self->modules[i];

    module_index found = {.module = module};
    size_t capacity = 0;
    const int count = dwfl_module_getsymtab(module);
    for (int i = 1; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *const name = dwfl_module_getsym_info(module, i, &symbol, &address, NULL, NULL, NULL);
        const int type = GELF_ST_TYPE(symbol.st_info);
        if (name == NULL || name[0] == 0 || symbol.st_shndx == SHN_UNDEF) continue;
        if (type != STT_FUNC && type != STT_GNU_IFUNC && (type != STT_NOTYPE || symbol.st_size != 0)) continue;
        found.entries = grow_array(found.entries, found.count, &capacity, sizeof *found.entries);
        found.entries[found.count++] = (function_entry){.begin = address, .end = address + symbol.st_size, .name = name};
    }
    if (found.count > 0) qsort(found.entries, found.count, sizeof *found.entries, compare_functions);
    self->modules = grow_array(self->modules, self->module_count, &self->module_capacity, sizeof *self->modules);
    self->modules[self->module_count] = found;
    return &self->modules[self->module_count++];
}

static int compare_ranges(const void *left, const void *right)
{
    const unit_range *const a = left, *const b = right;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static void find_ranges(module_index *index)
{
    size_t capacity = 0;
    index->has_ranges = true;
    for (Dwarf_Die *unit = NULL; (unit = dwfl_module_nextcu(index->module, unit, &index->bias)) != NULL;) {
        Dwarf_Addr base, begin, end;
        for (ptrdiff_t at = 0; (at = dwarf_ranges(unit, at, &base, &begin, &end)) > 0;) {
            index->ranges = grow_array(index->ranges, index->range_count, &capacity, sizeof *index->ranges);
            index->ranges[index->range_count++] = (unit_range){.begin = begin, .end = end, .unit = unit};
        }
    }
    if (index->range_count > 0) qsort(index->ranges, index->range_count, sizeof *index->ranges, compare_ranges);
}

/* The compilation unit that `address` belongs to, NULL: none is known; `bias`: memory's addresses less the unit's. */
static Dwarf_Die *unit_at(symbols *self, Dwfl_Module *module, uint64_t address, Dwarf_Addr *bias)
{
    Dwarf_Die *const unit = dwfl_module_addrdie(module, address, bias);
    if (unit != NULL) return unit;
    module_index *const index = index_of(self, module);
    if (!index->has_ranges) find_ranges(index);
    *bias = index->bias;
    size_t low = 0, high = index->range_count; /* ranges before `low` begin at or before the address */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (index->ranges[middle].begin <= address - *bias) low = middle + 1;
        else high = middle;
    }
    return low > 0 && address - *bias < index->ranges[low - 1].end ? index->ranges[low - 1].unit : NULL;
}

/* The function that contains `address`, or the last one without a size before it (assembly); NULL: none. */
static const char *function_at(symbols *self, Dwfl_Module *module, uint64_t address)
{
    const module_index *const functions = index_of(self, module);
    size_t low = 0, high = functions->count; /* entries before `low` begin at or before the address */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (functions->entries[middle].begin <= address) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return NULL;
    const function_entry *const last = &functions->entries[low - 1];
    return address < last->end || last->end == last->begin ? last->name : NULL;
}

/* --- resolving --- */

/* The functions inlined at `address` of a unit, innermost first, after them the function itself: into frames. Their lines: the
 * innermost has the address's own, each other the line of the call into it. */
static size_t inlined_frames(symbols *self, Dwarf_Die *unit, Dwarf_Addr address, symbol_frame *frames)
{
    Dwarf_Die *scopes = NULL, *chain = NULL;
    const int scope_count = dwarf_getscopes(unit, address, &scopes);
    if (scope_count <= 0) return 0;
    const int chain_count = dwarf_getscopes_die(&scopes[0], &chain);
    free(scopes);

    size_t count = 0;
    Dwarf_Files *files = NULL;
    (void)dwarf_getsrcfiles(unit, &files, NULL);
    const char *file = NULL;
    uint32_t line = 0;
    for (int i = 0; i < chain_count && count < INLINE_DEPTH_MAX; i++) {
        const int tag = dwarf_tag(&chain[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
        const char *const name = name_of_die(&chain[i]);
        frames[count++] = (symbol_frame){
            .function = name != NULL ? readable_name(self, name) : "?",
            .file = file,
            .line = line,
            .is_inlined = tag == DW_TAG_inlined_subroutine,
        };
        if (tag == DW_TAG_subprogram) break;
        Dwarf_Attribute attribute;
        Dwarf_Word number;
        file = NULL;
        line = 0;
        if (files != NULL && dwarf_formudata(dwarf_attr(&chain[i], DW_AT_call_file, &attribute), &number) == 0) {
            const char *const path = dwarf_filesrc(files, number, NULL, NULL);
            if (path != NULL) file = keep(self, must_copy(path));
        }
        if (dwarf_formudata(dwarf_attr(&chain[i], DW_AT_call_line, &attribute), &number) == 0) line = (uint32_t)number;
    }
    free(chain);
    return count;
}

static size_t resolve(symbols *self, uint64_t return_address, symbol_frame *frames)
{
    const uint64_t address = return_address - 1; /* inside the call */
    const trace_module *const mapped = module_at(self->info, address);
    const char *const module_name = mapped != NULL ? base_name(mapped->path) : "";
    Dwfl_Module *const module = dwfl_addrmodule(self->dwfl, address);
    size_t count = 0;

    if (module != NULL) {
        Dwarf_Addr bias = 0;
        Dwarf_Die *const unit = unit_at(self, module, address, &bias);
        if (unit != NULL) count = inlined_frames(self, unit, address - bias, frames);
        Dwarf_Line *const source = unit != NULL ? dwarf_getsrc_die(unit, address - bias) : NULL;
        if (count == 0) {
            const char *const name = function_at(self, module, address);
            if (name != NULL) frames[count++] = (symbol_frame){.function = readable_name(self, name)};
        }
        int line = 0;
        const char *const file = source != NULL ? dwarf_linesrc(source, NULL, NULL) : NULL;
        if (source != NULL) (void)dwarf_lineno(source, &line);
        if (count > 0 && file != NULL) {
            frames[0].file = keep(self, must_copy(file));
            frames[0].line = line > 0 ? (uint32_t)line : 0;
        }
    }
    if (count == 0) {
        char *name;
        if (mapped == NULL) name = must_print("0x%" PRIx64, return_address);
        else if (module_name[0] == 0) name = must_copy("code made at run time");
        else name = must_print("%s+0x%" PRIx64, module_name, return_address - mapped->begin + mapped->file_offset);
        frames[count++] = (symbol_frame){.function = keep(self, name)};
    }
    for (size_t i = 0; i < count; i++) frames[i].module = module_name;
    return count;
}

/* --- the cache --- */

static resolved *slot_of(resolved *slots, size_t slot_count, uint64_t address)
{
    size_t at = (size_t)(address * UINT64_C(0x9E3779B97F4A7C15) >> 24) & (slot_count - 1);
    while (slots[at].address != 0 && slots[at].address != address) at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

static void grow_cache(symbols *self)
{
    const size_t slot_count = self->slot_count == 0 ? 1024 : self->slot_count * 2;
    resolved *const slots = must_calloc(slot_count, sizeof *slots);
    for (size_t i = 0; i < self->slot_count; i++)
        if (self->cache[i].address != 0) *slot_of(slots, slot_count, self->cache[i].address) = self->cache[i];
    free(self->cache);
    self->cache = slots;
    self->slot_count = slot_count;
}

const symbol_frame *symbols_at(symbols *self, uint64_t return_address, size_t *count)
{
    if (self->used_count >= self->slot_count / 2) grow_cache(self);
    resolved *const slot = slot_of(self->cache, self->slot_count, return_address);
    if (slot->frames == NULL) {
        symbol_frame frames[INLINE_DEPTH_MAX + 1];
        const size_t frame_count = resolve(self, return_address, frames);
        slot->address = return_address != 0 ? return_address : 1;
        slot->frames = must_alloc(frame_count * sizeof frames[0]);
        slot->count = frame_count;
        memcpy(slot->frames, frames, frame_count * sizeof frames[0]);
        self->used_count++;
    }
    *count = slot->count;
    return slot->frames;
}

symbols *symbols_open(const trace_process_info *info)
{
    static char debug_path[] = "+:.debug:/usr/lib/debug";
    static char *debug_path_pointer = debug_path;
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
        .debuginfo_path = &debug_path_pointer,
    };
    symbols *const self = must_calloc(1, sizeof *self);
    self->info = info;
    (void)elf_version(EV_CURRENT);
    self->demangler = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);
    if (self->demangler != NULL) *(void **)&self->demangle = dlsym(self->demangler, "__cxa_demangle");
    self->dwfl = dwfl_begin(&callbacks);
    report_modules(self);
    return self;
}

void symbols_close(symbols *self)
{
    for (size_t i = 0; i < self->slot_count; i++) free(self->cache[i].frames);
    for (size_t i = 0; i < self->text_count; i++) free(self->texts[i]);
    for (size_t i = 0; i < self->module_count; i++) {
        free(self->modules[i].entries);
        free(self->modules[i].ranges);
    }
    free(self->modules);
    free(self->texts);
    free(self->cache);
    dwfl_end(self->dwfl);
    if (self->demangler != NULL) dlclose(self->demangler);
    free(self);
}
