/* lirs.h - LIRS that can turn into LRU and back, for a policy that follows either. */
#ifndef ACRE_POLICY_LIRS_H
#define ACRE_POLICY_LIRS_H

#include "policy/policy.h"

/* From now on the policy, one of kind LIRS, is to be LRU, or LIRS again: what is in the cache goes over with acre_lirs_turn. */
void acre_lirs_be_lru(acre_policy *policy, bool is_lru);

/* Turns one entry that is still as before; false when there is none. */
bool acre_lirs_turn(acre_policy *policy);

#endif
