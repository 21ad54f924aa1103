// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.sparse;

/** Well placed. */
public final class Section {}
