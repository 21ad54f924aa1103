// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.pagealloc;

/** Well placed. */
public final class Allocator {}
