/* wcet_code.c - see wcet_code.h. */
#include "wcet_code.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if WITH_CAPSTONE
#include <capstone/capstone.h>
#endif

typedef enum machine { MACHINE_THUMB, MACHINE_RISCV, MACHINE_X86_64 } machine;

typedef struct section {
    uint64_t begin, end;
    const uint8_t *bytes;
    bool is_code, is_writable;
} section;

/* Where code ($t, $x) or data ($d) begins; ARM code ($a) too. */
typedef struct mapping {
    uint64_t address;
    char kind;
} mapping;

typedef struct symbol {
    code_function function;
    bool is_global;
} symbol;

struct code_image {
    int fd;
    Elf *elf;
    machine machine;
    bool has_double_registers; /* RISC-V: c.fsdsp is what it says, not an instruction of Zcmp */
    section *sections;
    size_t section_count, section_capacity;
    mapping *mappings;
    size_t mapping_count, mapping_capacity;
    symbol *symbols; /* by address, then the better ones first */
    size_t symbol_count, symbol_capacity;
    code_function *functions; /* one for each address */
    size_t function_count;
#if WITH_CAPSTONE
    csh capstone;
    cs_insn *instruction;
#endif
};

/* ---- the image ---- */

static const section *section_at(const code_image *image, uint64_t address, uint64_t size)
{
    for (size_t i = 0; i < image->section_count; i++) {
        const section *const s = &image->sections[i];
        if (address >= s->begin && address < s->end && s->end - address >= size) return s;
    }
    return NULL;
}

static uint32_t half_at(const section *s, uint64_t address)
{
    const uint8_t *const bytes = s->bytes + (address - s->begin);
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

/* A word that the program cannot change. */
static bool constant_at(const code_image *image, uint64_t address, uint64_t *value)
{
    const section *const s = section_at(image, address, 4);
    if (s == NULL || s->is_writable) return false;
    *value = half_at(s, address) | half_at(s, address + 2) << 16;
    return true;
}

/* What the last mapping symbol at or in front of the address says; 't' where there is none. */
static char mapping_at(const code_image *image, const section *s, uint64_t address)
{
    size_t low = 0;
    for (size_t high = image->mapping_count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (image->mappings[middle].address <= address) low = middle + 1;
        else high = middle;
    }
    return low > 0 && image->mappings[low - 1].address >= s->begin ? image->mappings[low - 1].kind : 't';
}

static int by_mapping(const void *left, const void *right)
{
    const mapping *const a = left, *const b = right;
    return a->address < b->address ? -1 : a->address > b->address;
}

static int by_symbol(const void *left, const void *right)
{
    const symbol *const a = left, *const b = right;
    if (a->function.address != b->function.address) return a->function.address < b->function.address ? -1 : 1;
    if (a->function.is_typed != b->function.is_typed) return a->function.is_typed ? -1 : 1;
    if (a->is_global != b->is_global) return a->is_global ? -1 : 1;
    return strcmp(a->function.name, b->function.name);
}

static void read_section(code_image *image, Elf_Scn *scn, const GElf_Shdr *header)
{
    if ((header->sh_flags & SHF_ALLOC) == 0 || header->sh_type != SHT_PROGBITS || header->sh_size == 0) return;
    Elf_Data *const data = elf_rawdata(scn, NULL);
    if (data == NULL || data->d_buf == NULL || data->d_size < header->sh_size) return;
    image->sections = grow_array(image->sections, image->section_count, &image->section_capacity, sizeof *image->sections);
    image->sections[image->section_count++] = (section){.begin = header->sh_addr,
                                                        .end = header->sh_addr + header->sh_size,
                                                        .bytes = data->d_buf,
                                                        .is_code = (header->sh_flags & SHF_EXECINSTR) != 0,
                                                        .is_writable = (header->sh_flags & SHF_WRITE) != 0};
}

static void read_symbols(code_image *image, Elf_Scn *scn, const GElf_Shdr *header)
{
    Elf_Data *const data = elf_getdata(scn, NULL);
    const size_t count = header->sh_entsize > 0 ? header->sh_size / header->sh_entsize : 0;
    for (size_t i = 0; data != NULL && i < count; i++) {
        GElf_Sym found;
        if (gelf_getsym(data, (int)i, &found) == NULL || found.st_shndx == SHN_UNDEF) continue;
        const char *const name = elf_strptr(image->elf, header->sh_link, found.st_name);
        const int type = GELF_ST_TYPE(found.st_info);
        const bool is_global = GELF_ST_BIND(found.st_info) != STB_LOCAL;
        if (name == NULL || name[0] == 0) continue;
        if (name[0] == '$' && name[1] != 0 && strchr("atdx", name[1]) != NULL && image->machine != MACHINE_X86_64) {
            image->mappings = grow_array(image->mappings, image->mapping_count, &image->mapping_capacity, sizeof *image->mappings);
            image->mappings[image->mapping_count++] = (mapping){.address = found.st_value, .kind = name[1]};
            continue;
        }
        if (type != STT_FUNC && (type != STT_NOTYPE || !is_global)) continue;
        const uint64_t address = image->machine == MACHINE_THUMB ? found.st_value & ~UINT64_C(1) : found.st_value;
        const section *const s = section_at(image, address, 1);
        if (s == NULL || !s->is_code) continue;
        image->symbols = grow_array(image->symbols, image->symbol_count, &image->symbol_capacity, sizeof *image->symbols);
        image->symbols[image->symbol_count++] = (symbol){
            .function = {.address = address, .name = name, .is_typed = type == STT_FUNC}, .is_global = is_global};
    }
}

static void sort_symbols(code_image *image)
{
    if (image->mapping_count > 0) qsort(image->mappings, image->mapping_count, sizeof *image->mappings, by_mapping);
    if (image->symbol_count > 0) qsort(image->symbols, image->symbol_count, sizeof *image->symbols, by_symbol);
    image->functions = must_calloc(image->symbol_count + 1, sizeof *image->functions);
    for (size_t i = 0; i < image->symbol_count; i++) {
        if (i > 0 && image->symbols[i].function.address == image->symbols[i - 1].function.address) continue;
        image->functions[image->function_count++] = image->symbols[i].function;
    }
}

/* What is wrong with the file; NULL: nothing. */
static const char *read_image(code_image *image)
{
    GElf_Ehdr header;
    if (elf_version(EV_CURRENT) == EV_NONE || (image->elf = elf_begin(image->fd, ELF_C_READ_MMAP, NULL)) == NULL) return elf_errmsg(-1);
    if (elf_kind(image->elf) != ELF_K_ELF || gelf_getehdr(image->elf, &header) == NULL) return "it is no ELF file";
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) return "it is not linked: calls have no targets yet";
    if (header.e_ident[EI_DATA] != ELFDATA2LSB) return "it is for a big-endian processor, which is not supported";
    if (header.e_machine == EM_ARM) image->machine = MACHINE_THUMB;
    else if (header.e_machine == EM_RISCV) image->machine = MACHINE_RISCV;
    else if (header.e_machine == EM_X86_64) image->machine = MACHINE_X86_64;
    else return "it is for a processor other than ARM (Thumb), RISC-V and x86-64";
    image->has_double_registers = image->machine == MACHINE_RISCV && (header.e_flags & 6) == 4; /* EF_RISCV_FLOAT_ABI_DOUBLE */
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(image->elf, scn)) != NULL;) {
        GElf_Shdr section_header;
        if (gelf_getshdr(scn, &section_header) != NULL) read_section(image, scn, &section_header);
    }
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(image->elf, scn)) != NULL;) {
        GElf_Shdr section_header;
        if (gelf_getshdr(scn, &section_header) != NULL && section_header.sh_type == SHT_SYMTAB) read_symbols(image, scn, &section_header);
    }
    sort_symbols(image);
    if (image->function_count == 0) return "it has no symbols of functions: it is stripped, or has no code";
    if (image->machine != MACHINE_X86_64) return NULL;
#if WITH_CAPSTONE
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &image->capstone) != CS_ERR_OK) return "capstone cannot be opened for x86-64";
    (void)cs_option(image->capstone, CS_OPT_DETAIL, CS_OPT_ON);
    image->instruction = cs_malloc(image->capstone);
    return image->instruction != NULL ? NULL : "capstone has no memory";
#else
    return "x86-64 is decoded by capstone, which this acre was built without (Debian: libcapstone-dev)";
#endif
}

code_image *code_image_open(const char *path, char *problem, size_t size)
{
    code_image *const image = must_calloc(1, sizeof *image);
    image->fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *const why = image->fd < 0 ? strerror(errno) : read_image(image);
    if (why == NULL) return image;
    snprintf(problem, size, "%s: %s", path, why);
    code_image_close(image);
    return NULL;
}

void code_image_close(code_image *image)
{
#if WITH_CAPSTONE
    if (image->instruction != NULL) cs_free(image->instruction, 1);
    if (image->capstone != 0) (void)cs_close(&image->capstone);
#endif
    if (image->elf != NULL) (void)elf_end(image->elf);
    if (image->fd >= 0) close(image->fd);
    free(image->sections);
    free(image->mappings);
    free(image->symbols);
    free(image->functions);
    free(image);
}

const char *code_machine_text(const code_image *image)
{
    return image->machine == MACHINE_THUMB ? "Thumb" : image->machine == MACHINE_RISCV ? "RISC-V" : "x86-64";
}

/* ---- functions ---- */

const code_function *code_functions(const code_image *image, size_t *count)
{
    *count = image->function_count;
    return image->functions;
}

const code_function *code_function_named(const code_image *image, const char *name)
{
    for (size_t i = 0; i < image->symbol_count; i++) {
        if (strcmp(image->symbols[i].function.name, name) == 0) return &image->symbols[i].function;
    }
    return NULL;
}

/* How many functions begin at or in front of the address. */
static size_t functions_up_to(const code_image *image, uint64_t address)
{
    size_t low = 0;
    for (size_t high = image->function_count; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (image->functions[middle].address <= address) low = middle + 1;
        else high = middle;
    }
    return low;
}

const code_function *code_function_at(const code_image *image, uint64_t address)
{
    const size_t count = functions_up_to(image, address);
    return count > 0 && image->functions[count - 1].address == address ? &image->functions[count - 1] : NULL;
}

char *code_place_text(const code_image *image, uint64_t address)
{
    const size_t count = functions_up_to(image, address);
    if (count == 0) return must_print("0x%" PRIx64, address);
    const code_function *const f = &image->functions[count - 1];
    return f->address == address ? must_copy(f->name) : must_print("%s+0x%" PRIx64, f->name, address - f->address);
}

/* ---- Thumb ---- */

enum { THUMB_PC = 15, THUMB_LR = 14, THUMB_SP = 13, THUMB_CONDITION_EQ = 0, THUMB_CONDITION_NE = 1, THUMB_CONDITION_HI = 8 };

static int64_t sign_extended(uint64_t value, unsigned bits)
{
    const uint64_t sign = UINT64_C(1) << (bits - 1);
    return (int64_t)((value & ((sign << 1) - 1)) ^ sign) - (int64_t)sign;
}

/* The register that a 16-bit instruction writes; -1: none, -2: several, or not known here. */
static int thumb_written(uint32_t code)
{
    const int low = (int)(code & 7), high = (int)(code >> 8 & 7);
    if (code < 0x2000) return low;                                        /* shifts, add, sub */
    if (code < 0x4000) return (code & 0xf800) == 0x2800 ? -1 : high;      /* mov, cmp, add, sub with a number */
    if (code < 0x4400) return low;                                        /* two registers (a compare writes none) */
    if (code < 0x4700) return (code & 0xff00) == 0x4500 ? -1 : low | (int)(code >> 4 & 8); /* add, cmp, mov with high registers */
    if (code < 0x4800) return -2;                                         /* bx, blx */
    if (code < 0x5000) return high;                                       /* ldr from the literals */
    if (code < 0x9000) return low;                                        /* loads, and stores, which write none */
    if (code < 0xb000) return high;                                       /* sp-relative; address of */
    return (code & 0xfe00) == 0xb400 ? -1 : -2;                           /* push */
}

static bool is_wide(const step *at) { return at->size_bytes == 4; }

/* What a register holds after the instructions `before`, when they say so in a simple way. `trusts` is how many of them were looked at. */
static bool thumb_known(const code_image *image, unsigned reg, const step *const *before, size_t count, uint64_t *value, uint8_t *trusts)
{
    uint64_t upper = 0;
    bool has_upper = false;
    for (size_t i = 0; i < count; i++) {
        const uint32_t code = before[i]->code;
        const uint64_t pc = (before[i]->address + 4) & ~UINT64_C(3);
        *trusts = (uint8_t)(i + 1);
        if (before[i]->is_conditional) return false;
        if (is_wide(before[i])) {
            const uint32_t first = code >> 16, second = code & 0xffff;
            const uint32_t number = (first & 15) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | (second & 255);
            const bool is_movt = (first & 0xfbf0) == 0xf2c0, is_movw = (first & 0xfbf0) == 0xf240;
            if ((is_movt || is_movw) && (second >> 8 & 15) != reg) continue;
            if (is_movt && !has_upper) {
                upper = number << 16;
                has_upper = true;
                continue;
            }
            if (is_movw) {
                *value = upper | number;
                return true;
            }
            if ((first & 0xff7f) != 0xf85f || second >> 12 != reg || has_upper) return false;
            return constant_at(image, (first & 0x80) != 0 ? pc + (second & 0xfff) : pc - (second & 0xfff), value); /* ldr.w */
        }
        const int written = thumb_written(code);
        if ((code & 0xfe00) == 0xbc00 && (code & 0x100) == 0 && (reg > 7 || (code >> reg & 1) == 0)) continue; /* pop of others */
        if (written == -2) return false;
        if (written != (int)reg) continue;
        if (has_upper) return false;
        if ((code & 0xf800) == 0x4800) return constant_at(image, pc + (code & 255) * 4, value);
        if ((code & 0xff00) != 0x4600) return false;
        reg = code >> 3 & 15; /* mov */
    }
    return false;
}

/* Is `branch`, which tests a register or the flags for zero, the answer to a store-exclusive? */
static void thumb_find_retry(step *branch, bool is_on_zero, int reg, const step *const *before, size_t count)
{
    size_t at = 0;
    if (reg < 0) { /* flags: of `cmp reg, #0` */
        if (count == 0) return;
        const uint32_t code = before[0]->code;
        if (!is_wide(before[0]) && (code & 0xf8ff) == 0x2800) reg = (int)(code >> 8 & 7);
        else if (is_wide(before[0]) && (code & 0xfff0ffff) == 0xf1b00f00) reg = (int)(code >> 16 & 15);
        else return;
        at = 1;
    }
    if (at >= count || !before[at]->is_exclusive_store || before[at]->is_conditional || before[0]->is_conditional) return;
    const uint32_t code = before[at]->code;
    const uint32_t result = code >> 20 == 0xe84 ? code >> 8 & 15 : code & 15;
    if ((int)result != reg) return;
    branch->trusts = (uint8_t)(at + 1);
    branch->is_retry_behind = is_on_zero;
    branch->is_retry_at_target = !is_on_zero;
}

/* A branch on the flags, by condition `when`. */
static void thumb_branch(step *s, unsigned when, uint64_t target, const step *const *before, size_t count)
{
    s->kind = STEP_BRANCH;
    s->target = target;
    if (when == THUMB_CONDITION_EQ || when == THUMB_CONDITION_NE) thumb_find_retry(s, when == THUMB_CONDITION_EQ, -1, before, count);
}

static void thumb_to_register(const code_image *image, step *s, unsigned reg, bool is_call, const step *const *before, size_t count)
{
    uint64_t value;
    if (thumb_known(image, reg, before, count, &value, &s->trusts) && (value & 1) != 0) {
        s->kind = is_call ? STEP_CALL : STEP_JUMP;
        s->target = value & ~UINT64_C(1);
        return;
    }
    s->trusts = 0;
    s->kind = is_call ? STEP_INDIRECT_CALL : STEP_INDIRECT_JUMP;
}

static void thumb_narrow(const code_image *image, step *s, const step *const *before, size_t count, uint8_t *condition)
{
    const uint32_t code = s->code;
    const uint64_t pc = s->address + 4;
    if ((code & 0xff00) == 0xbf00 && (code & 15) != 0) { /* it */
        for (unsigned bit = 0; bit < 4; bit++) {
            if ((code >> bit & 1) == 0) continue;
            *condition = (uint8_t)(4 - bit);
            break;
        }
    } else if ((code & 0xf000) == 0xd000) {
        const unsigned when = code >> 8 & 15;
        if (when < 14) thumb_branch(s, when, pc + (uint64_t)(sign_extended(code & 255, 8) * 2), before, count);
        else s->kind = when == 14 ? STEP_STOP : STEP_INDIRECT_CALL; /* udf, svc */
    } else if ((code & 0xf800) == 0xe000) {
        s->kind = STEP_JUMP;
        s->target = pc + (uint64_t)(sign_extended(code & 0x7ff, 11) * 2);
    } else if ((code & 0xf500) == 0xb100) {
        s->kind = STEP_BRANCH;
        s->target = pc + ((code >> 9 & 1) << 6 | (code >> 3 & 31) << 1);
        thumb_find_retry(s, (code & 0x800) == 0, (int)(code & 7), before, count);
    } else if ((code & 0xff00) == 0x4700) { /* bx, blx, bxns, blxns */
        const unsigned reg = code >> 3 & 15;
        const bool is_call = (code & 0x80) != 0;
        if (reg == THUMB_LR && !is_call) s->kind = STEP_RETURN;
        else thumb_to_register(image, s, reg, is_call, before, count);
    } else if ((code & 0xff00) == 0xbd00) {
        s->kind = STEP_RETURN; /* pop of pc */
    } else if ((code & 0xff87) == 0x4687) { /* mov pc, reg */
        if ((code >> 3 & 15) == THUMB_LR) s->kind = STEP_RETURN;
        else thumb_to_register(image, s, code >> 3 & 15, false, before, count);
    } else if ((code & 0xff87) == 0x4487) {
        s->kind = STEP_INDIRECT_JUMP; /* add pc, reg */
    } else if ((code & 0xffe8) == 0xb660) { /* cps */
        s->masks = (code & 0x10) != 0 && (code & 3) != 0;
        s->unmasks = (code & 0x10) == 0;
    }
}

static void thumb_switch(step *s, unsigned reg, const step *const *before, size_t count)
{
    s->kind = STEP_INDIRECT_JUMP;
    if (count < 2 || before[0]->is_conditional || before[1]->is_conditional) return;
    const uint32_t bound = before[1]->code;
    const uint32_t compared = is_wide(before[1]) ? ((bound & 0xfff0ff00) == 0xf1b00f00 ? bound >> 16 & 15 : THUMB_PC)
                                                 : ((bound & 0xf800) == 0x2800 ? bound >> 8 & 7 : THUMB_PC);
    const bool is_above = is_wide(before[0]) ? (before[0]->code & 0xfbc0d000) == 0xf2008000 /* b<hi>.w */
                                             : before[0]->code >> 8 == (0xd0 | THUMB_CONDITION_HI);
    if (compared != reg || !is_above) return;
    s->kind = STEP_SWITCH;
    s->table_count = (bound & 255) + 1;
    s->trusts = 2;
}

static void thumb_wide(const code_image *image, step *s, const step *const *before, size_t count)
{
    const uint32_t first = s->code >> 16, second = s->code & 0xffff;
    const uint64_t pc = s->address + 4;
    if ((first & 0xf800) == 0xf000 && (second & 0x8000) != 0) { /* branches and what controls the processor */
        const uint64_t sign = first >> 10 & 1, j1 = second >> 13 & 1, j2 = second >> 11 & 1;
        const unsigned when = first >> 6 & 15;
        if ((second & 0x5000) == 0x4000) { /* blx to ARM code; the loops of ARMv8.1-M */
            s->kind = STEP_UNKNOWN;
        } else if ((second & 0x1000) != 0) { /* bl, b.w */
            const uint64_t offset = sign << 24 | (1 ^ j1 ^ sign) << 23 | (1 ^ j2 ^ sign) << 22 | (uint64_t)(first & 0x3ff) << 12 |
                                    (uint64_t)(second & 0x7ff) << 1;
            s->kind = (second & 0x4000) != 0 ? STEP_CALL : STEP_JUMP;
            s->target = pc + (uint64_t)sign_extended(offset, 25);
        } else if (when < 14) {
            const uint64_t offset = sign << 20 | j2 << 19 | j1 << 18 | (uint64_t)(first & 0x3f) << 12 | (uint64_t)(second & 0x7ff) << 1;
            thumb_branch(s, when, pc + (uint64_t)sign_extended(offset, 21), before, count);
        } else if ((first & 0xfff0) == 0xf7f0) {
            s->kind = (second & 0xf000) == 0xa000 ? STEP_STOP : STEP_INDIRECT_CALL; /* udf; smc, hvc */
        } else if ((first & 0xfff0) == 0xf3d0) {
            s->kind = STEP_RETURN; /* subs pc, lr */
        } else {
            s->unmasks = (first & 0xfff0) == 0xf380 && (second & 0xff) == 0x10; /* msr primask */
        }
    } else if ((first & 0xfff0) == 0xe8d0 && (second & 0xffe0) == 0xf000) { /* tbb, tbh */
        if ((first & 15) == THUMB_PC) thumb_switch(s, second & 15, before, count);
        else s->kind = STEP_INDIRECT_JUMP;
    } else if (((first & 0xffd0) == 0xe890 || (first & 0xffd0) == 0xe910) && (second & 0x8000) != 0) { /* ldm of pc */
        s->kind = first == 0xe8bd ? STEP_RETURN : STEP_INDIRECT_JUMP;
    } else if ((first & 0xff70) == 0xf850 && second >> 12 == THUMB_PC) { /* ldr pc */
        uint64_t value;
        const uint64_t base = pc & ~UINT64_C(3);
        s->kind = STEP_INDIRECT_JUMP;
        if (first == 0xf85d && second == 0xfb04) s->kind = STEP_RETURN; /* [sp], #4 */
        if ((first & 15) != THUMB_PC) return;
        const uint64_t place = (first & 0x80) != 0 ? base + (second & 0xfff) : base - (second & 0xfff);
        if (!constant_at(image, place, &value) || (value & 1) == 0) return;
        s->kind = STEP_JUMP;
        s->target = value & ~UINT64_C(1);
    } else if ((first & 0xff80) == 0xe800 || (first & 0xff80) == 0xe880) {
        const unsigned operation = second >> 4 & 15;
        const bool is_sized = (first & 0xffe0) == 0xe8c0 && operation != 0 && operation != 1; /* bytes, halves, acquire and release */
        const bool is_exclusive = is_sized && (operation & 4) != 0;
        s->is_exclusive_load = (first & 0xfff0) == 0xe850 || (is_exclusive && (first & 0x10) != 0);
        s->is_exclusive_store = ((first & 0xfff0) == 0xe840 && (second & 0xf000) != 0xf000) || (is_exclusive && (first & 0x10) == 0);
    }
}

static void thumb_step(const code_image *image, const section *from, step *s, const step *const *before, size_t count, uint8_t *condition)
{
    const bool is_in_block = *condition > 0;
    s->code = half_at(from, s->address);
    s->size_bytes = 2;
    if (is_in_block) --*condition;
    if (s->code >= 0xe800) {
        if (from->end - s->address < 4) {
            s->kind = STEP_UNKNOWN;
            return;
        }
        s->size_bytes = 4;
        s->code = s->code << 16 | half_at(from, s->address + 2);
        thumb_wide(image, s, before, count);
    } else {
        thumb_narrow(image, s, before, count, condition);
    }
    s->is_conditional = is_in_block;
}

/* ---- RISC-V ---- */

enum { RISCV_ZERO = 0, RISCV_RA = 1, RISCV_T0 = 5 };

/* The routines of gcc's library that save registers are called with t0 as their link; anywhere else t0 is a register like any other. */
static bool riscv_is_link(const code_image *image, uint64_t address, unsigned reg)
{
    static const char saver[] = "__riscv_save_";
    const size_t count = functions_up_to(image, address);
    if (reg == RISCV_RA) return true;
    return reg == RISCV_T0 && count > 0 && strncmp(image->functions[count - 1].name, saver, sizeof saver - 1) == 0;
}

/* jalr: to a register and an offset, which the instruction in front of it may have set. */
static void riscv_to_register(const code_image *image, step *s, unsigned link, unsigned reg, int64_t offset, const step *const *before,
                              size_t count)
{
    const bool is_call = link != RISCV_ZERO;
    if (!is_call && offset == 0 && riscv_is_link(image, s->address, reg)) {
        s->kind = STEP_RETURN;
        return;
    }
    s->kind = is_call ? STEP_INDIRECT_CALL : STEP_INDIRECT_JUMP;
    if (count == 0 || !is_wide(before[0]) || (before[0]->code >> 7 & 31) != reg || reg == RISCV_ZERO) return;
    const uint32_t opcode = before[0]->code & 0x7f;
    if (opcode != 0x17 && opcode != 0x37) return;
    const uint64_t upper = (uint64_t)sign_extended(before[0]->code & 0xfffff000, 32);
    s->kind = is_call ? STEP_CALL : STEP_JUMP;
    s->target = (opcode == 0x17 ? before[0]->address + upper : upper) + (uint64_t)offset; /* auipc, lui */
    s->trusts = 1;
}

static void riscv_find_retry(step *branch, bool is_on_zero, unsigned reg, const step *const *before, size_t count)
{
    if (count == 0 || !before[0]->is_exclusive_store || (before[0]->code >> 7 & 31) != reg) return;
    branch->trusts = 1;
    branch->is_retry_behind = is_on_zero;
    branch->is_retry_at_target = !is_on_zero;
}

static void riscv_narrow(const code_image *image, step *s, const step *const *before, size_t count)
{
    const uint32_t code = s->code;
    const unsigned operation = (code & 3) << 3 | code >> 13;
    const unsigned reg = code >> 7 & 31;
    switch (operation) {
    case 0x0d: /* c.j */
    case 0x09: /* c.jal, which a 64-bit machine reads as c.addiw */
    {
        const uint64_t offset = (code >> 12 & 1) << 11 | (code >> 11 & 1) << 4 | (code >> 9 & 3) << 8 | (code >> 8 & 1) << 10 |
                                (code >> 7 & 1) << 6 | (code >> 6 & 1) << 7 | (code >> 3 & 7) << 1 | (code >> 2 & 1) << 5;
        if (operation == 0x09 && gelf_getclass(image->elf) == ELFCLASS64) break;
        s->kind = operation == 0x0d ? STEP_JUMP : STEP_CALL;
        s->target = s->address + (uint64_t)sign_extended(offset, 12);
        break;
    }
    case 0x0e: /* c.beqz */
    case 0x0f: /* c.bnez */
    {
        const uint64_t offset = (code >> 12 & 1) << 8 | (code >> 10 & 3) << 3 | (code >> 5 & 3) << 6 | (code >> 3 & 3) << 1 |
                                (code >> 2 & 1) << 5;
        s->kind = STEP_BRANCH;
        s->target = s->address + (uint64_t)sign_extended(offset, 9);
        riscv_find_retry(s, operation == 0x0e, (code >> 7 & 7) + 8, before, count);
        break;
    }
    case 0x14: /* c.jr, c.jalr, c.mv, c.add, c.ebreak */
        if ((code >> 2 & 31) != 0 || reg == 0) break;
        riscv_to_register(image, s, (code >> 12 & 1) != 0 ? RISCV_RA : RISCV_ZERO, reg, 0, before, count);
        break;
    case 0x15: /* c.fsdsp; without its registers, the pushes and jumps of Zcmp and Zcmt */
        if (!image->has_double_registers) s->kind = STEP_UNKNOWN;
        break;
    default:
        if (code == 0) s->kind = STEP_STOP;
        break;
    }
}

static void riscv_wide(const code_image *image, step *s, const step *const *before, size_t count)
{
    const uint32_t code = s->code;
    const unsigned to = code >> 7 & 31, from = code >> 15 & 31, operation = code >> 12 & 7;
    switch (code & 0x7f) {
    case 0x6f: { /* jal */
        const uint64_t offset = (code >> 31) << 20 | (code >> 12 & 255) << 12 | (code >> 20 & 1) << 11 | (code >> 21 & 1023) << 1;
        s->kind = to == RISCV_ZERO ? STEP_JUMP : STEP_CALL;
        s->target = s->address + (uint64_t)sign_extended(offset, 21);
        break;
    }
    case 0x67: riscv_to_register(image, s, to, from, sign_extended(code >> 20, 12), before, count); break; /* jalr */
    case 0x63: { /* branches */
        const uint64_t offset = (code >> 31) << 12 | (code >> 7 & 1) << 11 | (code >> 25 & 63) << 5 | (code >> 8 & 15) << 1;
        s->kind = STEP_BRANCH;
        s->target = s->address + (uint64_t)sign_extended(offset, 13);
        if (operation <= 1 && (code >> 20 & 31) == RISCV_ZERO) riscv_find_retry(s, operation == 0, from, before, count);
        break;
    }
    case 0x2f: /* atomics */
        s->is_exclusive_load = code >> 27 == 2;
        s->is_exclusive_store = code >> 27 == 3;
        break;
    case 0x73: /* the system */
        if (code == 0x00000073) s->kind = STEP_INDIRECT_CALL; /* ecall */
        else if (code == 0x30200073 || code == 0x10200073) s->kind = STEP_RETURN; /* mret, sret */
        else if (code == 0xc0001073) s->kind = STEP_STOP; /* unimp */
        else if (code >> 20 == 0x300 && operation != 0) { /* mstatus */
            s->masks = operation == 7 && (from & 8) != 0;
            s->unmasks = operation == 1 || operation == 2 || operation == 5 || operation == 6;
        }
        break;
    default: break;
    }
}

static void riscv_step(const code_image *image, const section *from, step *s, const step *const *before, size_t count)
{
    s->code = half_at(from, s->address);
    s->size_bytes = (s->code & 3) == 3 ? 4 : 2;
    if (s->size_bytes == 2) {
        riscv_narrow(image, s, before, count);
    } else if ((s->code & 0x1c) == 0x1c || from->end - s->address < 4) {
        s->kind = STEP_UNKNOWN; /* longer than 32 bits */
    } else {
        s->code |= half_at(from, s->address + 2) << 16;
        riscv_wide(image, s, before, count);
    }
}

/* ---- x86-64 ---- */

#if WITH_CAPSTONE
static void x86_step(const code_image *image, const section *from, step *s)
{
    const uint8_t *bytes = from->bytes + (s->address - from->begin);
    size_t left = from->end - s->address;
    uint64_t address = s->address;
    s->size_bytes = 1;
    s->kind = STEP_UNKNOWN;
    if (!cs_disasm_iter(image->capstone, &bytes, &left, &address, image->instruction)) return;
    const cs_insn *const found = image->instruction;
    const cs_x86 *const x86 = &found->detail->x86;
    const bool is_direct = x86->op_count == 1 && x86->operands[0].type == X86_OP_IMM;
    s->size_bytes = (uint8_t)found->size;
    s->kind = STEP_PLAIN;
    if (is_direct) s->target = (uint64_t)x86->operands[0].imm;
    switch (found->id) {
    case X86_INS_JMP: s->kind = is_direct ? STEP_JUMP : STEP_INDIRECT_JUMP; return;
    case X86_INS_CALL: s->kind = is_direct ? STEP_CALL : STEP_INDIRECT_CALL; return;
    case X86_INS_RET: s->kind = STEP_RETURN; return;
    case X86_INS_UD2:
    case X86_INS_HLT:
    case X86_INS_INT3: s->kind = STEP_STOP; return;
    case X86_INS_SYSCALL:
    case X86_INS_SYSENTER:
    case X86_INS_INT: s->kind = STEP_INDIRECT_CALL; return;
    case X86_INS_LOOP:
    case X86_INS_LOOPE:
    case X86_INS_LOOPNE: s->kind = STEP_BRANCH; return;
    default: break;
    }
    const bool returns = cs_insn_group(image->capstone, found, X86_GRP_RET) || cs_insn_group(image->capstone, found, X86_GRP_IRET);
    if (cs_insn_group(image->capstone, found, X86_GRP_JUMP)) s->kind = is_direct ? STEP_BRANCH : STEP_INDIRECT_JUMP;
    else if (returns) s->kind = STEP_RETURN;
    else if (x86->prefix[0] == X86_PREFIX_REP || x86->prefix[0] == X86_PREFIX_REPNE) {
        /* Of string instructions a count; of others part of their code. */
        static const unsigned strings[] = {X86_INS_MOVSB, X86_INS_MOVSW, X86_INS_MOVSD, X86_INS_MOVSQ, X86_INS_STOSB, X86_INS_STOSW,
                                           X86_INS_STOSD, X86_INS_STOSQ, X86_INS_CMPSB, X86_INS_CMPSW, X86_INS_CMPSD, X86_INS_CMPSQ,
                                           X86_INS_SCASB, X86_INS_SCASW, X86_INS_SCASD, X86_INS_SCASQ, X86_INS_LODSB, X86_INS_LODSW,
                                           X86_INS_LODSD, X86_INS_LODSQ, X86_INS_INSB,  X86_INS_INSW,  X86_INS_INSD,  X86_INS_OUTSB,
                                           X86_INS_OUTSW, X86_INS_OUTSD};
        for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
            if (found->id == strings[i]) s->kind = STEP_REPEAT;
        }
    }
}
#endif

/* ---- all of them ---- */

bool code_step(const code_image *image, uint64_t address, const step *const *before, size_t before_count, uint8_t *condition, step *found)
{
    const section *const from = section_at(image, address, image->machine == MACHINE_X86_64 ? 1 : 2);
    *found = (step){.address = address};
    if (from == NULL || !from->is_code) return false;
    if (image->machine != MACHINE_X86_64) {
        const char mapped = mapping_at(image, from, address);
        if (mapped == 'd' || mapped == 'a' || address % 2 != 0) return false;
    }
    switch (image->machine) {
    case MACHINE_THUMB: thumb_step(image, from, found, before, before_count, condition); break;
    case MACHINE_RISCV: riscv_step(image, from, found, before, before_count); break;
    case MACHINE_X86_64:
#if WITH_CAPSTONE
        x86_step(image, from, found);
#endif
        break;
    }
    return true;
}

bool code_switch_target(const code_image *image, const step *at, uint32_t index, uint64_t *target)
{
    const bool is_of_halves = (at->code & 0x10) != 0; /* tbh */
    const uint64_t table = at->address + 4;
    const section *const from = section_at(image, table + (is_of_halves ? 2 * (uint64_t)index : index), is_of_halves ? 2 : 1);
    if (from == NULL || from->is_writable || index >= at->table_count) return false;
    const uint64_t entry = is_of_halves ? half_at(from, table + 2 * (uint64_t)index) : from->bytes[table + index - from->begin];
    *target = table + 2 * entry;
    return true;
}
