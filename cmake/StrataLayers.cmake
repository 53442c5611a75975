# SPDX-License-Identifier: Apache-2.0
#
# The layer table: every library, the folder it lives in, and the libraries it may use (in DEPS and
# in #include lines). strata_add_library() refuses what is not listed here; tools/check reads this
# same file and refuses includes. A library's public headers are <strata/NAME/...>.
#
# STRATA_ROOMS_x are the folders under the library's src/, lower rooms first: a source includes from
# its own room and from those before it in the list. "." is src/ itself. tools/check refuses includes
# against this order; `tools/check --graph` draws them. A library without a list has no order.

set(STRATA_LIBRARIES base ec kv block nvme nvmeof dedup object s3 ofs ofs_fuse)  # Lower layers first.

set(STRATA_DIR_base libbase)
set(STRATA_USES_base "")

set(STRATA_DIR_ec libec)
set(STRATA_USES_ec base)

set(STRATA_DIR_kv libkv)
set(STRATA_USES_kv base)

set(STRATA_DIR_block libnvmedrv/block)
set(STRATA_USES_block base)
set(STRATA_ROOMS_block . file)

set(STRATA_DIR_nvme libnvmedrv/nvme)
set(STRATA_USES_nvme base block)

set(STRATA_DIR_nvmeof libnvmeof)
set(STRATA_USES_nvmeof base block nvme)
set(STRATA_ROOMS_nvmeof pdu link target host)

set(STRATA_DIR_dedup libdedup)
set(STRATA_USES_dedup base block kv)
set(STRATA_ROOMS_dedup format fingerprint chunking reading index containers .)

set(STRATA_DIR_object libobject)
set(STRATA_USES_object base dedup kv)
set(STRATA_ROOMS_object records transactions content operations)

set(STRATA_DIR_s3 libobject/s3)
set(STRATA_USES_s3 base object)
set(STRATA_ROOMS_s3 http auth protocol operations server)

set(STRATA_DIR_ofs libofs)
set(STRATA_USES_ofs base block kv ec)
set(STRATA_ROOMS_ofs format disks namespace groups stripes data jobs check .)

set(STRATA_DIR_ofs_fuse libofs/fuse)
set(STRATA_USES_ofs_fuse base ofs)

# What stands on the libraries.
set(STRATA_USES_apps ${STRATA_LIBRARIES})
set(STRATA_USES_python base ec kv block dedup object)
