#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <unwind.h>
#include <stdio.h>
#include <time.h>
#include <stdint.h>
#include <x86intrin.h>
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec*1e9+t.tv_nsec;}
enum{N=20000};
static int mode; static double best[5]; static int frames;
static _Unwind_Reason_Code cb(struct _Unwind_Context*c,void*a){ (*(int*)a)++; return _URC_NO_REASON; }
__attribute__((noinline)) void leaf(void){
 void*b[64]; double t0=now();
 for(int i=0;i<N;i++){
  if(mode==0) frames=unw_backtrace(b,64);
  else if(mode==1){ unw_context_t u; unw_cursor_t c; unw_getcontext(&u); unw_init_local(&c,&u); int n=0; do { unw_word_t ip; unw_get_reg(&c,UNW_REG_IP,&ip); b[n++]=(void*)ip;} while(n<64&&unw_step(&c)>0); frames=n;}
  else if(mode==2){ unw_context_t u; unw_cursor_t c; unw_getcontext(&u); unw_init_local(&c,&u); int n=0; unw_save_loc_t l; while(n<64&&unw_step(&c)>0) {unw_word_t ip,sp; unw_get_reg(&c,UNW_REG_IP,&ip);unw_get_reg(&c,UNW_REG_SP,&sp); n++; if(*(uint64_t*)(sp-8)!=ip) printf("mismatch frame %d\n",n);} frames=n;}
  else {int n=0;_Unwind_Backtrace(cb,&n);frames=n;}
 }
 printf("mode %d: %d frames, %.0f ns\n",mode,frames,(now()-t0)/N);
}
__attribute__((noinline)) void rec(int d){ volatile char x[40]; x[0]=1; if(d==0) leaf(); else rec(d-1); x[1]=2;}
int main(){ for(mode=0;mode<4;mode++){rec(5);rec(20);} 
 double t0=now(); uint64_t s=0; for(int i=0;i<1000000;i++) s+=__rdtsc(); printf("rdtsc %.1f ns\n",(now()-t0)/1e6);
 unsigned a; t0=now(); for(int i=0;i<1000000;i++) s+=__rdtscp(&a); printf("rdtscp %.1f ns\n",(now()-t0)/1e6);
 t0=now(); for(int i=0;i<1000000;i++) s+=(uint64_t)now(); printf("clock %.1f ns\n",(now()-t0)/1e6);
 return s==42;}
