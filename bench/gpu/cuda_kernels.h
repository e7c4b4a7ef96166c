/* cuda_kernels.h - the kernels of bench/gpu/cuda, as text that the driver compiles: NVIDIA's PTX of
 *
 *     typedef unsigned u32;
 *     typedef unsigned long long u64;
 *     #define EACH(i, count) for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < count; i += (u64)gridDim.x * blockDim.x)
 *     extern "C" __global__ void fill(u32 *a, u64 count, u32 first) { EACH(i, count) a[i] = first + (u32)i; }
 *     extern "C" __global__ void step(u32 *a, u64 count) { EACH(i, count) a[i] = a[i] * 3 + 1; }
 *     extern "C" __global__ void sum(const u32 *a, u64 count, u64 *total)
 *     {
 *         u64 own = 0;
 *         EACH(i, count) own += a[i];
 *         atomicAdd(total, own);
 *     }
 *     extern "C" __global__ void compare(const u32 *a, u64 count, u32 first, u64 *wrong)
 *     {
 *         u64 own = 0;
 *         EACH(i, count) own += a[i] != first + (u32)i;
 *         if (own > 0) atomicAdd(wrong, own);
 *     }
 *     __device__ u64 now(void)
 *     {
 *         u64 ns;
 *         asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
 *         return ns;
 *     }
 *     extern "C" __global__ void wait(u64 ns)
 *     {
 *         for (const u64 end = now() + ns; now() < end;) __nanosleep(1000);
 *     }
 *     extern "C" __global__ void touch(volatile u32 *a, u64 stride, u64 count, u64 *ns)
 *     {
 *         for (u64 i = 0; i < count; i++) {
 *             const u64 start = now();
 *             a[i * stride] = a[i * stride] + 1;
 *             __threadfence_system();
 *             ns[i] = now() - start;
 *         }
 *     }
 *
 * by `nvcc -ptx -arch=compute_75` of CUDA 13.0, each kernel a module, with the oldest version of PTX that has all of it: drivers from 2019
 * on read it. */
#ifndef ACRE_BENCH_GPU_CUDA_KERNELS_H
#define ACRE_BENCH_GPU_CUDA_KERNELS_H

#define CUDA_KERNELS_HEAD ".version 6.4\n.target sm_75\n.address_size 64\n"

static const struct {
    const char *name, *text;
} cuda_kernels[] = {
    {"fill",
     CUDA_KERNELS_HEAD
     ".visible .entry fill( .param .u64 fill_param_0, .param .u64 fill_param_1, .param .u32 fill_param_2 )\n"
     "{\n"
     ".reg .pred %p<3>; .reg .b32 %r<8>; .reg .b64 %rd<15>; ld.param.u64 %rd7, [fill_param_0];\n"
     "ld.param.u64 %rd8, [fill_param_1]; ld.param.u32 %r1, [fill_param_2]; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;\n"
     "cvt.u64.u32 %rd1, %r3; mul.wide.u32 %rd9, %r2, %r3; mov.u32 %r4, %tid.x; cvt.u64.u32 %rd10, %r4;\n"
     "add.s64 %rd14, %rd9, %rd10; setp.ge.u64 %p1, %rd14, %rd8; @%p1 bra $L__BB0_3; mov.u32 %r5, %nctaid.x;\n"
     "cvt.u64.u32 %rd11, %r5; mul.lo.s64 %rd3, %rd11, %rd1; cvta.to.global.u64 %rd4, %rd7; $L__BB0_2:\n"
     "cvt.u32.u64 %r6, %rd14; add.s32 %r7, %r6, %r1; shl.b64 %rd12, %rd14, 2; add.s64 %rd13, %rd4, %rd12;\n"
     "st.global.u32 [%rd13], %r7; add.s64 %rd14, %rd14, %rd3; setp.lt.u64 %p2, %rd14, %rd8; @%p2 bra $L__BB0_2;\n"
     "$L__BB0_3: ret; }\n"},
    {"step",
     CUDA_KERNELS_HEAD
     ".visible .entry step( .param .u64 step_param_0, .param .u64 step_param_1 )\n"
     "{\n"
     ".reg .pred %p<3>; .reg .b32 %r<7>; .reg .b64 %rd<15>; ld.param.u64 %rd7, [step_param_0];\n"
     "ld.param.u64 %rd8, [step_param_1]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; cvt.u64.u32 %rd1, %r2;\n"
     "mul.wide.u32 %rd9, %r1, %r2; mov.u32 %r3, %tid.x; cvt.u64.u32 %rd10, %r3; add.s64 %rd14, %rd9, %rd10;\n"
     "setp.ge.u64 %p1, %rd14, %rd8; @%p1 bra $L__BB1_3; mov.u32 %r4, %nctaid.x; cvt.u64.u32 %rd11, %r4;\n"
     "mul.lo.s64 %rd3, %rd11, %rd1; cvta.to.global.u64 %rd4, %rd7; $L__BB1_2: shl.b64 %rd12, %rd14, 2;\n"
     "add.s64 %rd13, %rd4, %rd12; ld.global.u32 %r5, [%rd13]; mad.lo.s32 %r6, %r5, 3, 1; st.global.u32 [%rd13], %r6;\n"
     "add.s64 %rd14, %rd14, %rd3; setp.lt.u64 %p2, %rd14, %rd8; @%p2 bra $L__BB1_2; $L__BB1_3: ret; }\n"},
    {"sum",
     CUDA_KERNELS_HEAD
     ".visible .entry sum( .param .u64 sum_param_0, .param .u64 sum_param_1, .param .u64 sum_param_2 )\n"
     "{\n"
     ".reg .pred %p<3>; .reg .b32 %r<5>; .reg .b64 %rd<26>; ld.param.u64 %rd10, [sum_param_0];\n"
     "ld.param.u64 %rd11, [sum_param_1]; ld.param.u64 %rd12, [sum_param_2]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x;\n"
     "cvt.u64.u32 %rd1, %r2; mul.wide.u32 %rd14, %r1, %r2; mov.u32 %r3, %tid.x; cvt.u64.u32 %rd15, %r3;\n"
     "add.s64 %rd23, %rd14, %rd15; setp.ge.u64 %p1, %rd23, %rd11; mov.u64 %rd25, 0; @%p1 bra $L__BB2_3;\n"
     "mov.u32 %r4, %nctaid.x; cvt.u64.u32 %rd17, %r4; mul.lo.s64 %rd3, %rd17, %rd1; cvta.to.global.u64 %rd4, %rd10;\n"
     "mov.u64 %rd25, 0; $L__BB2_2: shl.b64 %rd18, %rd23, 2; add.s64 %rd19, %rd4, %rd18; ld.global.u32 %rd20, [%rd19];\n"
     "add.s64 %rd25, %rd25, %rd20; add.s64 %rd23, %rd23, %rd3; setp.lt.u64 %p2, %rd23, %rd11; @%p2 bra $L__BB2_2;\n"
     "$L__BB2_3: cvta.to.global.u64 %rd21, %rd12; atom.global.add.u64 %rd22, [%rd21], %rd25; ret; }\n"},
    {"compare",
     CUDA_KERNELS_HEAD
     ".visible .entry compare( .param .u64 compare_param_0, .param .u64 compare_param_1, .param .u32 compare_param_2,\n"
     ".param .u64 compare_param_3 )\n"
     "{\n"
     ".reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %rd<26>; ld.param.u64 %rd10, [compare_param_0];\n"
     "ld.param.u64 %rd11, [compare_param_1]; ld.param.u32 %r1, [compare_param_2]; ld.param.u64 %rd12, [compare_param_3];\n"
     "mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; cvt.u64.u32 %rd1, %r3; mul.wide.u32 %rd14, %r2, %r3;\n"
     "mov.u32 %r4, %tid.x; cvt.u64.u32 %rd15, %r4; add.s64 %rd23, %rd14, %rd15; setp.ge.u64 %p1, %rd23, %rd11;\n"
     "mov.u64 %rd25, 0; @%p1 bra $L__BB3_3; mov.u32 %r5, %nctaid.x; cvt.u64.u32 %rd17, %r5;\n"
     "mul.lo.s64 %rd3, %rd17, %rd1; cvta.to.global.u64 %rd4, %rd10; mov.u64 %rd25, 0; $L__BB3_2: cvt.u32.u64 %r6, %rd23;\n"
     "add.s32 %r7, %r6, %r1; shl.b64 %rd18, %rd23, 2; add.s64 %rd19, %rd4, %rd18; ld.global.u32 %r8, [%rd19];\n"
     "setp.ne.s32 %p2, %r8, %r7; selp.u64 %rd20, 1, 0, %p2; add.s64 %rd25, %rd25, %rd20; add.s64 %rd23, %rd23, %rd3;\n"
     "setp.lt.u64 %p3, %rd23, %rd11; @%p3 bra $L__BB3_2; $L__BB3_3: setp.eq.s64 %p4, %rd25, 0; @%p4 bra $L__BB3_5;\n"
     "cvta.to.global.u64 %rd21, %rd12; atom.global.add.u64 %rd22, [%rd21], %rd25; $L__BB3_5: ret; }\n"},
    {"wait",
     CUDA_KERNELS_HEAD
     ".visible .entry wait( .param .u64 wait_param_0 )\n"
     "{\n"
     ".reg .pred %p<3>; .reg .b32 %r<2>; .reg .b64 %rd<6>; ld.param.u64 %rd4, [wait_param_0];\n"
     "mov.u64 %rd2, %globaltimer; add.s64 %rd1, %rd2, %rd4; mov.u64 %rd3, %globaltimer; setp.ge.u64 %p1, %rd3, %rd1;\n"
     "@%p1 bra $L__BB4_2; $L__BB4_1: mov.u32 %r1, 1000; nanosleep.u32 %r1; mov.u64 %rd5, %globaltimer;\n"
     "setp.lt.u64 %p2, %rd5, %rd1; @%p2 bra $L__BB4_1; $L__BB4_2: ret; }\n"},
    {"touch",
     CUDA_KERNELS_HEAD
     ".visible .entry touch( .param .u64 touch_param_0, .param .u64 touch_param_1, .param .u64 touch_param_2,\n"
     ".param .u64 touch_param_3 )\n"
     "{\n"
     ".reg .pred %p<6>; .reg .b32 %r<11>; .reg .b64 %rd<59>; ld.param.u64 %rd25, [touch_param_0];\n"
     "ld.param.u64 %rd23, [touch_param_1]; ld.param.u64 %rd24, [touch_param_2]; ld.param.u64 %rd26, [touch_param_3];\n"
     "cvta.to.global.u64 %rd1, %rd26; cvta.to.global.u64 %rd2, %rd25; setp.eq.s64 %p1, %rd24, 0; @%p1 bra $L__BB5_7;\n"
     "add.s64 %rd28, %rd24, -1; and.b64 %rd3, %rd24, 3; setp.lt.u64 %p2, %rd28, 3; mov.u64 %rd55, 0; @%p2 bra $L__BB5_4;\n"
     "sub.s64 %rd4, %rd3, %rd24; shl.b64 %rd5, %rd23, 2; mov.u64 %rd55, 0; mov.u64 %rd52, %rd1; mov.u64 %rd53, %rd2;\n"
     "$L__BB5_3: mov.u64 %rd30, %globaltimer; ld.volatile.global.u32 %r1, [%rd53]; add.s32 %r2, %r1, 1;\n"
     "st.volatile.global.u32 [%rd53], %r2; membar.sys; mov.u64 %rd31, %globaltimer; sub.s64 %rd38, %rd31, %rd30;\n"
     "st.global.u64 [%rd52], %rd38; mov.u64 %rd32, %globaltimer; add.s64 %rd39, %rd53, %rd5;\n"
     "ld.volatile.global.u32 %r3, [%rd39]; add.s32 %r4, %r3, 1; st.volatile.global.u32 [%rd39], %r4; membar.sys;\n"
     "mov.u64 %rd33, %globaltimer; sub.s64 %rd40, %rd33, %rd32; st.global.u64 [%rd52+8], %rd40;\n"
     "mov.u64 %rd34, %globaltimer; add.s64 %rd41, %rd39, %rd5; ld.volatile.global.u32 %r5, [%rd41]; add.s32 %r6, %r5, 1;\n"
     "st.volatile.global.u32 [%rd41], %r6; membar.sys; mov.u64 %rd35, %globaltimer; sub.s64 %rd42, %rd35, %rd34;\n"
     "st.global.u64 [%rd52+16], %rd42; mov.u64 %rd36, %globaltimer; add.s64 %rd43, %rd41, %rd5;\n"
     "add.s64 %rd53, %rd43, %rd5; ld.volatile.global.u32 %r7, [%rd43]; add.s32 %r8, %r7, 1;\n"
     "st.volatile.global.u32 [%rd43], %r8; membar.sys; mov.u64 %rd37, %globaltimer; sub.s64 %rd44, %rd37, %rd36;\n"
     "st.global.u64 [%rd52+24], %rd44; add.s64 %rd55, %rd55, 4; add.s64 %rd45, %rd4, %rd55; add.s64 %rd52, %rd52, 32;\n"
     "setp.ne.s64 %p3, %rd45, 0; @%p3 bra $L__BB5_3; $L__BB5_4: setp.eq.s64 %p4, %rd3, 0; @%p4 bra $L__BB5_7;\n"
     "shl.b64 %rd46, %rd55, 3; add.s64 %rd58, %rd1, %rd46; mul.lo.s64 %rd47, %rd55, %rd23; shl.b64 %rd48, %rd47, 2;\n"
     "add.s64 %rd57, %rd2, %rd48; shl.b64 %rd15, %rd23, 2; neg.s64 %rd56, %rd3; $L__BB5_6: .pragma \"nounroll\";\n"
     "mov.u64 %rd49, %globaltimer; ld.volatile.global.u32 %r9, [%rd57]; add.s32 %r10, %r9, 1;\n"
     "st.volatile.global.u32 [%rd57], %r10; membar.sys; mov.u64 %rd50, %globaltimer; sub.s64 %rd51, %rd50, %rd49;\n"
     "st.global.u64 [%rd58], %rd51; add.s64 %rd58, %rd58, 8; add.s64 %rd57, %rd57, %rd15; add.s64 %rd56, %rd56, 1;\n"
     "setp.ne.s64 %p5, %rd56, 0; @%p5 bra $L__BB5_6; $L__BB5_7: ret; }\n"},
};

#endif
