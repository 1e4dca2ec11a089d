"""Pre-trained models: found by name, path or address; with a card and a self-check.

Each folder NAME beside this file is a model that comes with the package:

config.json, model.safetensors   as of `cgatjax.model.model_io`; weights in float16
card.json                        data, licenses, errors, limits (`cards`)
self_check.safetensors           some crystals' graphs with their predictions (`self_check`)
manifest.json                    sizes and SHA-256 of the others
"""
