/* note.h - an ELF note that says where in this program or library a variable lies.
 *
 * Notes are mapped with the file's headers, survive stripping and static linking, and need no symbol table: whoever can read a process's
 * memory finds the variable from the program headers alone, even when the file has been replaced or is in another mount namespace.
 * The note's body is the distance from itself to the variable, 4 bytes, so that nothing has to be relocated.
 */
#ifndef ACRE_OS_NOTE_H
#define ACRE_OS_NOTE_H

#define ACRE_OS_NOTE_NAME "acre"
#define ACRE_OS_NOTE_LIVE 1 /* type: the variable is an acre_live (heap/live.h) */

/* At file scope; `variable` is a global one of this file with the attributes ACRE_OS_NOTED. */
#if defined(__ELF__)
#define ACRE_OS_NOTED __attribute__((used, visibility("hidden")))
#define ACRE_OS_NOTE(variable)                                                                                                             \
    __asm__(".pushsection .note.acre,\"a\",%note\n"                                                                                        \
            ".balign 4\n"                                                                                                                  \
            ".long 5, 4, 1\n"                                                                                                              \
            ".asciz \"acre\"\n"                                                                                                            \
            ".balign 4\n"                                                                                                                  \
            ".long " #variable " - .\n"                                                                                                    \
            ".popsection\n")
#else
#define ACRE_OS_NOTED __attribute__((used))
#define ACRE_OS_NOTE(variable) _Static_assert(1, "no notes here")
#endif

#endif
