// SPDX-License-Identifier: Apache-2.0
// What the default document demands of the process itself.
#include "floor.h"

#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>

enum { RLIMIT_NOFILE = 7 };

void process_restrict(void) {
    const unsigned keep = 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_AUDIT_WRITE;
    SYS(keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses.floor");
    SYS(setsid);
    uint64_t files[2] = {1024, 1024};
    MUST(prlimit64, 0, RLIMIT_NOFILE, files, 0);
    for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (cap > 31 || !(keep >> cap & 1)) SYS(prctl, PR_CAPBSET_DROP, cap);
    MUST(setgroups, 0, 0);
    MUST(setresgid, 0, 0, 0);
    MUST(setresuid, 0, 0, 0);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{keep, keep, 0}, {0, 0, 0}};
    MUST(capset, &header, sets);
    MUST(prctl, PR_SET_NO_NEW_PRIVS, 1);
}
