// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.pagealloc;

import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Kernel;

/**
 * {@code struct migration_target_control}: where moved pages are to go.
 *
 * @param nid the node to try first; -1 for the page's own
 * @param nmask nodes allowed; null for all
 * @param gfp how to allocate
 * @param reason who asks
 */
@Kernel(file = "mm/internal.h", symbol = "struct migration_target_control")
public record MigrationTarget(
    int nid, @Nullable Set<Integer> nmask, Gfp gfp, MigrateReason reason) {}
