"""The volumes of a pod: what each must hold and how it is set up, decided in pure code.

`plan_volume` turns a volume of a pod into a `VolumePlan`, `required_sources` says what must be fetched for it before,
and `kubelet/io/mounts.py` carries plans out.
"""
