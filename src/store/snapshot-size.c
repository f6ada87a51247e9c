/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "store/digest-set.h"
#include "store/internal.h"

int store_snapshot_new_bytes(Store *s, StoreSnapshotInfo *list, size_t n, uint64_t *ret_bytes)
{
        DigestSet older = { 0 };
        int r = 0;

        for (size_t i = n; i-- > 0 && r >= 0;) {
                _cleanup_manifest_set_ ManifestSet *set = NULL;
                DigestSet here = { 0 };

                ret_bytes[i] = 0;
                r = store_read_snapshot_set(s, list[i].number, &set);
                list[i].intact = r != -EUCLEAN;
                if (r == -EUCLEAN || r == -ENOENT) { /* the next one is compared with the one before this */
                        r = 0;
                        continue;
                }
                if (r >= 0)
                        r = digest_set_add_snapshot(&here, set, &older, &ret_bytes[i]);
                digest_set_done(&older);
                older = here;
        }
        digest_set_done(&older);
        return r < 0 ? r : 0;
}
