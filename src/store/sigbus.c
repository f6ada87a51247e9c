/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/sigbus.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The handler walks this list without a lock, on whatever thread the fault happened. So entries are never
 * freed, only used again: base 0 means free. */
struct SigbusRegion {
        uintptr_t base; /* atomic */
        uintptr_t size; /* atomic; set before base */
        bool broken;    /* atomic */
        SigbusRegion *next;
};

static SigbusRegion *regions; /* atomic; only ever grows */
static pthread_mutex_t regions_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool installed;
static long page_size;

static SigbusRegion *find_region(uintptr_t address)
{
        for (SigbusRegion *r = __atomic_load_n(&regions, __ATOMIC_ACQUIRE); r; r = r->next) {
                uintptr_t base = __atomic_load_n(&r->base, __ATOMIC_ACQUIRE);
                uintptr_t size = __atomic_load_n(&r->size, __ATOMIC_ACQUIRE);

                if (base && address >= base && address - base < size)
                        return r;
        }
        return NULL;
}

static void handler(int signo, siginfo_t *info, void *context)
{
        int saved_errno = errno;
        uintptr_t address = (uintptr_t)info->si_addr;
        SigbusRegion *r = NULL;
        void *page = (void *)(address & ~(uintptr_t)(page_size - 1));

        if (info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR)
                r = find_region(address);
        if (!r || mmap(page, (size_t)page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
                          page) {
                /* Not ours: back to the default, and the instruction faults again for good. */
                sigaction(SIGBUS, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
                errno = saved_errno;
                return;
        }
        __atomic_store_n(&r->broken, true, __ATOMIC_RELEASE);
        errno = saved_errno;
}

static void install_locked(void)
{
        struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER };

        if (installed)
                return;
        page_size = sysconf(_SC_PAGESIZE);
        sigemptyset(&action.sa_mask);
        installed = sigaction(SIGBUS, &action, NULL) == 0;
}

SigbusRegion *sigbus_register(void *base, size_t size)
{
        SigbusRegion *r;

        pthread_mutex_lock(&regions_mutex);
        install_locked();
        for (r = regions; r; r = r->next)
                if (__atomic_load_n(&r->base, __ATOMIC_RELAXED) == 0)
                        break;
        if (!r) {
                r = calloc(1, sizeof(SigbusRegion));
                if (r) {
                        r->next = regions;
                        __atomic_store_n(&regions, r, __ATOMIC_RELEASE);
                }
        }
        if (r) {
                __atomic_store_n(&r->broken, false, __ATOMIC_RELAXED);
                __atomic_store_n(&r->size, size, __ATOMIC_RELEASE);
                __atomic_store_n(&r->base, (uintptr_t)base, __ATOMIC_RELEASE);
        }
        pthread_mutex_unlock(&regions_mutex);
        return r;
}

SigbusRegion *sigbus_unregister(SigbusRegion *r)
{
        if (r) {
                pthread_mutex_lock(&regions_mutex);
                __atomic_store_n(&r->base, 0, __ATOMIC_RELEASE);
                pthread_mutex_unlock(&regions_mutex);
        }
        return NULL;
}

bool sigbus_region_broken(const SigbusRegion *r)
{
        return r && __atomic_load_n(&r->broken, __ATOMIC_ACQUIRE);
}
