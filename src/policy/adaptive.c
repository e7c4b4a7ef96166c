#include "policy/policy.h"
const acre_policy_operations acre_policy_adaptive;
